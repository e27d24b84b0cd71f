"""Ranks that talk through torch's process groups."""

from datetime import timedelta
from typing import Any

from torch import distributed


class TorchRanks:
    """The ranks of a process group."""

    def __init__(self, group: Any = None) -> None:
        """
        Args:
            group: which one; none: that of all ranks, which training uses, too.
        """
        self._group = group
        self.rank, self.world_size = distributed.get_rank(group), distributed.get_world_size(group)

    def barrier(self) -> None:
        distributed.barrier(self._group)

    def gather(self, value: Any) -> list[Any]:
        values: list[Any] = [None] * self.world_size
        distributed.all_gather_object(values, value, group=self._group)
        return values

    def broadcast(self, value: Any) -> Any:
        values = [value]
        distributed.broadcast_object_list(values, src=0, group=self._group)
        return values[0]


def ranks_beside_training(timeout_seconds: float) -> TorchRanks:
    """All ranks over a gloo group of their own, so that a thread can talk while training does. A collective.

    Args:
        timeout_seconds: after which a rank that waits for the others gives up.
    """
    return TorchRanks(distributed.new_group(backend="gloo", timeout=timedelta(seconds=timeout_seconds)))
