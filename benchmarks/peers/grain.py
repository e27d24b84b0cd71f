"""Google grain: MapDataset over memory-mapped rows, shuffled, repeated and mixed, read in the calling thread."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, SupportsIndex

import grain
import numpy as np

from benchmarks.peers.port import Mix
from benchmarks.peers.serve import main
from benchmarks.rows import Rows


class _Source(grain.sources.RandomAccessDataSource[Rows]):
    """Rows of a file; numpy arrays over the map, copied when they are batched."""

    def __init__(self, file: Path) -> None:
        self._rows = np.asarray(np.load(file, mmap_mode="r"))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: SupportsIndex) -> Rows:
        row: Rows = self._rows[index]
        return row


class _Loader:
    def __init__(self, batches: grain.IterDataset[Rows], state: Any) -> None:
        self._batches = iter(batches)
        if state is not None:
            self._batches.set_state(state)

    def __iter__(self) -> Iterator[Any]:
        return self._batches

    def state(self, steps: int) -> Any:
        return self._batches.get_state()


class Grain:
    """Its default of 16 reading threads is for slow storage; without them it is several times as fast on mapped rows."""

    name = "grain"
    modules = ("grain", "numpy")
    configuration = "memory-mapped RandomAccessDataSource, MapDataset.mix, num_threads=0"

    def convert(self, sources: Mapping[str, Iterable[Rows]], folder: Path) -> None:
        for source, rows in sources.items():
            np.save(folder / source, np.stack(list(rows)))

    def load(self, folder: Path, mix: Mix, state: Any = None) -> _Loader:
        sources = [
            grain.MapDataset.source(_Source(folder / f"{source}.npy")).seed(mix.seed + index).shuffle().repeat()
            for index, source in enumerate(mix.shares)
        ]
        mixed = grain.MapDataset.mix(sources, weights=list(mix.shares.values()))
        own = mixed[mix.rank :: mix.world_size] if mix.world_size > 1 else mixed
        return _Loader(own.batch(mix.batch).to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)), state)


if __name__ == "__main__":
    main(Grain())
