"""A data-mixing worker: a Ray actor that builds blocks. What it holds can be had again from files, so any worker can build any block."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.feed.block import Block, BlockBuilder
from orchestrator.feed.sources import read_planned
from orchestrator.mixture.plan_file import read_plan
from orchestrator.shards.epoch import Layout
from orchestrator.shards.packing import PackingMethod
from orchestrator.shards.reader import ShardReader


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker stands: a node's id, and whether ranks of other nodes use it, too."""

    node: str
    is_shared: bool


@dataclass(frozen=True, slots=True)
class FeedWorker:
    """A data-mixing worker: a handle to its actor, and its place."""

    actor: Any
    place: Place


class _Worker:
    def __init__(self, plan_file: str, shards_dir: str, packing: PackingMethod = "concatenate", document_attention: bool = False) -> None:
        self._plan_file, self._shards_dir = Path(plan_file), Path(shards_dir)
        self._packing, self._document_attention = packing, document_attention

    @cached_property
    def _builder(self) -> BlockBuilder:
        """Made at the first block, not before: an actor that fails as it is made cannot say why."""
        plan = read_plan(self._plan_file)
        layout = Layout(packing=self._packing, sequence_length=plan.sequence_length, document_attention=self._document_attention)
        manifests = read_planned(plan, self._shards_dir, layout)
        readers = [ShardReader(self._shards_dir / manifest.name, manifest, "train", self._packing) for manifest in manifests]
        return BlockBuilder(plan, readers, document_attention=self._document_attention)

    def block(self, first_step: int, num_steps: int, rank: int, world_size: int) -> Block:
        return self._builder.build(range(first_step, first_step + num_steps), rank=rank, world_size=world_size)


def start_workers(
    plan_file: Path, shards_dir: Path, places: Sequence[Place], *, packing: PackingMethod = "concatenate", document_attention: bool = False
) -> list[FeedWorker]:
    """Start data-mixing workers on the connected cluster. One that dies is started anew, and its blocks are built again.

    Args:
        plan_file: the run's plan.json.
        shards_dir: where the prepared sources are.
        places: one a worker. When a node is gone, its workers start on another one.
        packing: how documents lie in sequences.
        document_attention: whether each document sees itself alone.
    """
    given = (str(plan_file), str(shards_dir), packing, document_attention)
    return [FeedWorker(_start(place.node, given), place) for place in places]


def _start(node: str, given: tuple[str, str, PackingMethod, bool]) -> Any:
    strategy = NodeAffinitySchedulingStrategy(node_id=node, soft=True)
    return ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=strategy)(_Worker).remote(*given)


def workers_for(workers: Sequence[FeedWorker], node: str) -> list[FeedWorker]:
    """The workers that ranks of a node ask: those beside them and the shared ones; all of them when it has neither."""
    return [worker for worker in workers if worker.place.is_shared or worker.place.node == node] or list(workers)
