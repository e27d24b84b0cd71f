"""How many ranks a cluster has room for, and with how many of them the batch can be divided. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """What has to be divided among the ranks: a global batch into micro batches, both in sequences."""

    sequences_per_step: int
    micro_batch: int

    def divides_among(self, world_size: int) -> bool:
        return self.sequences_per_step % (self.micro_batch * world_size) == 0


def room_for_ranks(nodes: Iterable[Mapping[str, Any]], *, gpus_per_rank: int, excluded: Collection[str] = ()) -> int:
    """How many ranks fit into what is free of the nodes.

    Args:
        nodes: as `cluster_nodes` tells of them.
        gpus_per_rank: that each rank takes beside a CPU.
        excluded: ids of nodes that do not count.
    """
    return sum(_ranks_on(node["Available"], gpus_per_rank) for node in nodes if node["NodeID"] not in excluded)


def _ranks_on(resources: Mapping[str, float], gpus_per_rank: int) -> int:
    by_cpu = int(resources.get("CPU", 0))
    return min(by_cpu, int(resources.get("GPU", 0)) // gpus_per_rank) if gpus_per_rank else by_cpu


def largest_world_size(room: int, batch: Batch, *, smallest: int, largest: int) -> int | None:
    """The most ranks that fit and divide the batch.

    Args:
        room: for so many.
        batch: to divide.
        smallest, largest: the limits.

    Returns:
        A world size, or none when there is room for none.
    """
    return next((size for size in range(min(room, largest), smallest - 1, -1) if batch.divides_among(size)), None)
