"""No loader at all: what a loader cannot beat here. Rows in one contiguous file, positions drawn beforehand, one copy into one buffer."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.port import Mix
from benchmarks.peers.serve import main
from benchmarks.rows import ROW, Ids, Rows

_ROW_BYTES = 2 * ROW


class BatchLoader:
    """Batches of rows by positions, each in the same buffer."""

    def __init__(self, rows: Rows, positions: Ids, batch: int) -> None:
        self._rows, self._positions, self._batch = rows, positions, batch

    def __iter__(self) -> Iterator[Any]:
        batch = np.empty((self._batch, ROW), np.uint16)
        for start in range(0, len(self._positions), self._batch):
            yield np.take(self._rows, self._positions[start : start + self._batch], axis=0, out=batch, mode="clip")

    def state(self, steps: int) -> Any:
        return steps


class Limit:
    """A memory-mapped random gather by shuffled positions into a preallocated batch, by `numpy.take`."""

    name = "limit"
    modules = ("numpy",)
    configuration = "numpy.take from one mapped, touched file into a preallocated batch"
    loader = BatchLoader

    def convert(self, sources: Mapping[str, Iterable[Rows]], folder: Path) -> None:
        counts = {}
        with (folder / "rows.bin").open("wb") as file:
            for source, rows in sources.items():
                began = file.tell()
                file.writelines(row.tobytes() for row in rows)
                counts[source] = (file.tell() - began) // _ROW_BYTES
        (folder / "counts.json").write_text(json.dumps(counts))

    def load(self, folder: Path, mix: Mix, state: Any = None) -> BatchLoader:
        rows = np.asarray(np.memmap(folder / "rows.bin", np.uint16, "r")).reshape(-1, ROW)
        rows[:, :: ROW - 1].max()  # every page is mapped before the clock runs
        positions = _positions(json.loads((folder / "counts.json").read_text()), mix)
        return self.loader(rows, positions[(state or 0) * mix.batch :], mix.batch)


def _positions(counts: dict[str, int], mix: Mix) -> Ids:
    """Rows of both sources in their ratio and at random."""
    random = np.random.default_rng(mix.seed)
    of_spec = random.permutation(mix.num_sequences) < mix.spec_share * mix.num_sequences
    spec, general = (random.integers(0, counts[source], mix.num_sequences) for source in ("spec", "general"))
    return np.where(of_spec, spec, counts["spec"] + general)


if __name__ == "__main__":
    main(Limit())
