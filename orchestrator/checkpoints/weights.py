"""The weights of checkpoints, one parameter at a time, on a machine with neither the ranks nor the memory of those that saved them."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.checkpoints.state_file import StateReader, holders_of, read_spans, state_path
from orchestrator.checkpoints.store import Checkpoint
from orchestrator.errors import CheckpointError
from orchestrator.training.fragments import KINDS, Span


class Weights:
    """The mean of the float32 weights of one checkpoint or more."""

    def __init__(self, readers: Sequence[StateReader], sizes: dict[str, int]) -> None:
        self._readers, self._sizes = readers, sizes

    @property
    def names(self) -> set[str]:
        """Of the parameters that were trained."""
        return set(self._sizes)

    def read(self, name: str) -> NDArray[np.float32]:
        """(size,) a flattened parameter."""
        total: NDArray[Any] = np.zeros(self._sizes[name], dtype=np.float64 if len(self._readers) > 1 else np.float32)
        for reader in self._readers:
            for at, values in reader.read(Span(name, 0, len(total)), KINDS[:1]):
                total[at : at + values.shape[1]] += values[0]
        total /= len(self._readers)
        return total.astype(np.float32, copy=False)


@contextmanager
def open_weights(checkpoints: Sequence[Checkpoint]) -> Iterator[Weights]:
    """Open the weights of checkpoints to read their mean.

    Raises:
        CheckpointError: they are not of the same parameters.
    """
    with ExitStack() as stack:
        readers, sizes = [], []
        for checkpoint in checkpoints:
            ranks = range(checkpoint.manifest["world_size"])
            holders = holders_of((rank, read_spans(checkpoint.directory / state_path(rank))) for rank in ranks)
            readers.append(stack.enter_context(closing(StateReader(checkpoint.directory, holders))))
            sizes.append({name: sum(span.size for span, _ in spans) for name, spans in holders.items()})
        for checkpoint, other in zip(checkpoints, sizes, strict=True):
            if other != sizes[0]:
                raise CheckpointError(f"{checkpoint.directory} and {checkpoints[0].directory} are of different parameters: no mean exists.")
        yield Weights(readers, sizes[0])
