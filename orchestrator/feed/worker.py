"""A data-mixing worker: a Ray actor that builds blocks. It holds open files and nothing else, so that any worker can build any block."""

from functools import cached_property
from pathlib import Path
from typing import Any

import ray

from orchestrator.feed.block import Block, build_block
from orchestrator.mixture.plan import Plan, read_plan
from orchestrator.shards.manifest import read_manifest
from orchestrator.shards.packing import PackingMethod
from orchestrator.shards.reader import ShardReader

FeedWorker = Any  # a handle to the actor below


class _Worker:
    def __init__(self, plan_file: str, shards_dir: str, packing: PackingMethod = "concatenate", document_attention: bool = False) -> None:
        self._plan_file, self._shards_dir = Path(plan_file), Path(shards_dir)
        self._packing, self._document_attention = packing, document_attention

    @cached_property
    def _plan(self) -> Plan:
        return read_plan(self._plan_file)

    @cached_property
    def _readers(self) -> list[ShardReader]:
        """Opened at the first block, not before: an actor that fails as it is made cannot say why."""
        directories = [self._shards_dir / source.name for source in self._plan.sources]
        return [ShardReader(d, read_manifest(d, d.name), "train", self._packing) for d in directories]

    def block(self, first_step: int, num_steps: int, rank: int, world_size: int) -> Block:
        steps = range(first_step, first_step + num_steps)
        return build_block(
            self._plan, self._readers, steps=steps, rank=rank, world_size=world_size, document_attention=self._document_attention
        )


def start_workers(
    plan_file: Path, shards_dir: Path, num_workers: int, *, packing: PackingMethod, document_attention: bool
) -> list[FeedWorker]:
    """Start data-mixing workers on the connected cluster. One that dies is started anew, and its blocks are built again.

    Args:
        plan_file: the run's plan.json.
        shards_dir: where the prepared sources are.
        num_workers: how many.
        packing: how documents lie in sequences.
        document_attention: whether each document sees itself alone.
    """
    actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Worker)
    return [actor.remote(str(plan_file), str(shards_dir), packing, document_attention) for _ in range(num_workers)]
