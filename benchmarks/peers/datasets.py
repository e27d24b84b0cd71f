"""Hugging Face datasets, map-style: Arrow tables, each shuffled, mixed by `interleave_datasets` with probabilities."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import datasets
import datasets.distributed

from benchmarks.peers.port import Mix
from benchmarks.peers.serve import main
from benchmarks.rows import ROW, Rows

FEATURES = datasets.Features({"tokens": datasets.Sequence(datasets.Value("uint16"), length=ROW)})


class _Loader:
    def __init__(self, mixed: datasets.Dataset, batch: int) -> None:
        self._mixed, self._batch = mixed.with_format("arrow"), batch

    def __iter__(self) -> Iterator[Any]:
        for table in self._mixed.iter(self._batch, drop_last_batch=True):
            yield table["tokens"].combine_chunks().flatten().to_numpy().reshape(-1, ROW)

    def state(self, steps: int) -> Any:
        return steps


class MapStyle:
    """Arrow batches made into arrays by pyarrow, twice as fast here as its own numpy format. It has no state: resuming is `skip`."""

    name = "datasets"
    modules = ("datasets", "pyarrow", "numpy")
    configuration = "map-style interleave_datasets(probabilities, all_exhausted), arrow format, resumed by skip"

    def convert(self, sources: Mapping[str, Iterable[Rows]], folder: Path) -> None:
        for source, rows in sources.items():
            table = datasets.Dataset.from_list([{"tokens": row} for row in rows], features=FEATURES)
            table.save_to_disk(str(folder / source))

    def load(self, folder: Path, mix: Mix, state: Any = None) -> _Loader:
        shuffled = [datasets.load_from_disk(str(folder / source)).shuffle(seed=mix.seed) for source in mix.shares]
        mixed = datasets.interleave_datasets(
            shuffled, probabilities=list(mix.shares.values()), seed=mix.seed, stopping_strategy="all_exhausted"
        )
        if mix.world_size > 1:
            mixed = datasets.distributed.split_dataset_by_node(mixed, rank=mix.rank, world_size=mix.world_size)
        return _Loader(mixed.skip((state or 0) * mix.batch), mix.batch)


if __name__ == "__main__":
    datasets.disable_progress_bars()
    main(MapStyle())
