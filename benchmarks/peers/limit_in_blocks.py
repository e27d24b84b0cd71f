"""The limit of a loader that makes blocks: the same copies, into a buffer as large as a block of this project's."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.own.plane import block_steps
from benchmarks.peers.limit import BatchLoader, Limit
from benchmarks.peers.serve import main
from benchmarks.rows import ROW


class _BlockLoader(BatchLoader):
    def __iter__(self) -> Iterator[Any]:
        steps = block_steps(self._batch)
        block = np.empty((steps * self._batch, ROW), np.uint16)
        for start in range(0, len(self._positions), len(block)):
            here = self._positions[start : start + len(block)]
            np.take(self._rows, here, axis=0, out=block[: len(here)], mode="clip")
            yield from block[: len(here)].reshape(-1, self._batch, ROW)


class LimitInBlocks(Limit):
    """The limit, its batches parts of a larger buffer."""

    name = "limit_in_blocks"
    configuration = "the same into a preallocated block of 2 MiB, handed out in batches"
    loader = _BlockLoader


if __name__ == "__main__":
    main(LimitInBlocks())
