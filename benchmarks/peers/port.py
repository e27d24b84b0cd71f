"""What a measured data plane must offer: convert the tokens to its own format, and load mixed batches from it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks.rows import Rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Mix:
    """What is asked of a loader.

    Attributes:
        spec_share: the spec source's share of the sequences.
        num_sequences: length of the run, over all ranks; sources that are smaller are repeated.
        global_batch: sequences of a step, over all ranks.
        rank, world_size: whose batches.
        seed: of every shuffle.
    """

    spec_share: float
    num_sequences: int
    global_batch: int
    rank: int = 0
    world_size: int = 1
    seed: int = 17

    @property
    def batch(self) -> int:
        """Sequences of a step of this rank."""
        return self.global_batch // self.world_size

    @property
    def steps(self) -> int:
        return self.num_sequences // self.global_batch

    @property
    def shares(self) -> dict[str, float]:
        return {"spec": self.spec_share, "general": 1 - self.spec_share}


class Loader(Protocol):
    """Batches of one rank, in the order of training."""

    def __iter__(self) -> Iterator[Any]:
        """Arrays or tensors of (batch, 2,048 or 2,049) token ids, gathered in memory."""

    def state(self, steps: int) -> Any:
        """What `Peer.load` needs to go on after the batches so far, of which there were `steps`. It can be pickled."""


class Peer(Protocol):
    """A data plane."""

    name: str  # of the folder that its own format is kept in
    modules: tuple[str, ...]  # the distributions whose versions belong to its numbers
    configuration: str  # how it is used, in a few words

    def convert(self, sources: Mapping[str, Iterable[Rows]], folder: Path) -> None:
        """Write every source's rows in the peer's own format, by its own writer, below an empty folder."""

    def load(self, folder: Path, mix: Mix, state: Any = None) -> Loader:
        """A loader at its beginning, or where another one of the same mix had the given state."""
