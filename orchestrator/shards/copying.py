"""Equal rows out of the maps of many files, in one loop of numpy's.

numpy takes rows of one array, and has nothing for rows of several. But all maps of a process lie in one memory, so rows of several are rows
of that. It is as fast as taking rows of one array, and twice as fast as slices of memory views.
"""

import numpy as np
from numpy.typing import NDArray

from orchestrator.shards.pieces import Ints


class _Memory:
    """A stretch of memory as an array of overlapping rows, one from each byte of it."""

    def __init__(self, address: int, num_rows: int, row_bytes: int) -> None:
        layout = {"data": (address, True), "shape": (num_rows,), "strides": (1,), "typestr": f"|V{row_bytes}"}
        self.__array_interface__ = layout | {"version": 3}


def address_of(view: memoryview) -> int:
    """Where a view's first byte is."""
    address: int = np.frombuffer(view, np.uint8).__array_interface__["data"][0]
    return address


def copy_rows(addresses: Ints, row_bytes: int, within: range) -> NDArray[np.void]:
    """Copy equal runs of memory one behind the other.

    Args:
        addresses: (n,) where each begins. Who calls has looked that all of each run is within a map, and holds the map.
        row_bytes: of each.
        within: addresses that all maps lie between.

    Returns:
        (n,) the runs.
    """
    offsets = addresses - within.start
    assert not len(offsets) or offsets.min() >= 0  # numpy looks at the other end
    runs: NDArray[np.void] = np.asarray(_Memory(within.start, len(within) - row_bytes + 1, row_bytes))[offsets]
    return runs
