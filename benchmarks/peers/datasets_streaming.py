"""Hugging Face datasets, streaming: the same tables as iterable datasets, whose state can be saved."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import datasets.distributed

from benchmarks.peers.datasets import MapStyle
from benchmarks.peers.port import Mix
from benchmarks.peers.serve import main
from benchmarks.rows import ROW

_BUFFER_SEQUENCES = 1_000  # its default


class _Loader:
    def __init__(self, mixed: datasets.IterableDataset, batch: int, state: Any) -> None:
        self._mixed, self._batch = mixed.with_format("arrow"), batch
        if state is not None:
            self._mixed.load_state_dict(state)

    def __iter__(self) -> Iterator[Any]:
        for table in self._mixed.iter(self._batch, drop_last_batch=True):
            yield table["tokens"].combine_chunks().flatten().to_numpy().reshape(-1, ROW)

    def state(self, steps: int) -> Any:
        return self._mixed.state_dict()


class Streaming(MapStyle):
    """The form that its guide to large corpora and to resuming describes."""

    configuration = "streaming interleave_datasets(probabilities, all_exhausted), shuffle buffer 1,000, state_dict"

    def load(self, folder: Path, mix: Mix, state: Any = None) -> _Loader:  # type: ignore[override]
        shuffled = [
            datasets.load_from_disk(str(folder / source)).to_iterable_dataset().shuffle(seed=mix.seed, buffer_size=_BUFFER_SEQUENCES)
            for source in mix.shares
        ]
        mixed = datasets.interleave_datasets(
            shuffled, probabilities=list(mix.shares.values()), seed=mix.seed, stopping_strategy="all_exhausted"
        )
        if mix.world_size > 1:
            mixed = datasets.distributed.split_dataset_by_node(mixed, rank=mix.rank, world_size=mix.world_size)
        return _Loader(mixed, mix.batch, state)


if __name__ == "__main__":
    datasets.disable_progress_bars()
    main(Streaming())
