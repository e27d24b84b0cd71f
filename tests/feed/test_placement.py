"""Where data-mixing workers go on clusters of other shapes than this machine."""

from typing import Any

import pytest

from orchestrator.config.data import FeedConfig
from orchestrator.feed.worker import FeedWorker, Place, workers_for
from orchestrator.scheduling.placement import feed_places


def node(name: str, *, gpus: int = 0, cpus: int = 8) -> dict[str, Any]:
    resources = {"CPU": cpus} | ({"GPU": gpus} if gpus else {})
    return {"NodeID": name, "Resources": resources}


NODES = [node("a", gpus=8), node("b", gpus=8), node("c"), node("head", cpus=0)]


@pytest.mark.parametrize(
    ("gpus_per_rank", "on_cpu_nodes", "expected"),
    [
        (1, False, [("a", False), ("b", False)]),
        (1, True, [("a", False), ("b", False), ("c", True)]),
        (0, False, [("a", False), ("b", False), ("c", False)]),
        (0, True, [("a", False), ("b", False), ("c", False)]),
    ],
)
def test_every_node_that_ranks_can_be_on_has_workers_and_cpu_nodes_if_they_are_given(
    gpus_per_rank: int, on_cpu_nodes: bool, expected: list[tuple[str, bool]]
) -> None:
    feed = FeedConfig(workers=2, on_cpu_nodes=on_cpu_nodes, block_bytes=1, prefetch_blocks=1, document_attention=False)
    places = feed_places(NODES, feed, gpus_per_rank=gpus_per_rank)
    assert places == [Place(*place) for place in expected for _ in range(2)]


def test_a_rank_asks_the_workers_of_its_node_and_the_shared_ones_and_on_a_node_without_any_all() -> None:
    workers = [FeedWorker(None, Place(*place)) for place in (("a", False), ("b", False), ("c", True))]
    assert [worker.place.node for worker in workers_for(workers, "a")] == ["a", "c"]
    assert [worker.place.node for worker in workers_for(workers[:2], "late")] == ["a", "b"]
