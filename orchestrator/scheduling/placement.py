"""Which nodes data-mixing workers stand on."""

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.config.data import FeedConfig
from orchestrator.feed.worker import Place


def feed_places(nodes: Iterable[Mapping[str, Any]], feed: FeedConfig, *, gpus_per_rank: int) -> list[Place]:
    """Where to put the data-mixing workers: on every node that ranks can be on, and on the others if they are given.

    Args:
        nodes: of the cluster, as Ray tells of them.
        feed: how many a node, and whether nodes without GPUs have some for all ranks.
        gpus_per_rank: 0: ranks can be on every node that has CPUs.

    Returns:
        One place a worker.
    """
    with_cpus = [node for node in nodes if node["Resources"].get("CPU", 0) > 0]
    training = [node for node in with_cpus if gpus_per_rank == 0 or node["Resources"].get("GPU", 0) > 0]
    others = [node for node in with_cpus if node not in training] if feed.on_cpu_nodes else []
    places = [Place(node["NodeID"], False) for node in training] + [Place(node["NodeID"], True) for node in others]
    return [place for place in places for _ in range(feed.workers)]
