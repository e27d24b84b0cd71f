"""What is wrong where a worker reads comes back as our own error, with the file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from orchestrator.errors import ShardError
from orchestrator.feed.block import Block
from orchestrator.feed.loader import load_batches
from orchestrator.feed.worker import FeedWorker, Place, _Worker
from orchestrator.shards.manifest import read_manifest, write_manifest
from tests.support.prepared import make_run, write_prepared


def test_a_worker_can_be_made_and_says_at_its_first_block_which_shards_are_gone(tmp_path: Path) -> None:
    config = write_prepared(tmp_path)
    run = make_run(config)
    for shard in (Path(config.shards.dir) / "docs").glob("*.bin"):
        shard.unlink()
    worker = _Worker(str(run.plan), config.shards.dir)
    with pytest.raises(ShardError, match=str(Path(config.shards.dir) / "docs")):
        worker.block(0, 10, 0, 2)


def test_a_worker_that_is_started_anew_refuses_shards_that_the_run_was_not_planned_with(tmp_path: Path) -> None:
    config = write_prepared(tmp_path)
    run = make_run(config)
    directory = Path(config.shards.dir) / "docs"
    manifest = read_manifest(directory, "docs")
    write_manifest(replace(manifest, train=[replace(shard, xxhash="other") for shard in manifest.train]), directory)
    with pytest.raises(ShardError, match=rf"{directory} is not what the run was planned with\. Prepare 'docs' again"):
        _Worker(str(run.plan), config.shards.dir).block(0, 10, 0, 2)


@pytest.mark.parametrize("prefetch_blocks", [1, 3])
def test_while_a_block_is_in_use_just_so_many_are_asked_for_ahead(monkeypatch: pytest.MonkeyPatch, prefetch_blocks: int) -> None:
    asked: list[int] = []

    class Counting:
        def __init__(self) -> None:
            self.block = self

        def remote(self, first_step: int, num_steps: int, rank: int, world_size: int) -> Block:
            asked.append(first_step)
            return Block(first_step, np.zeros((num_steps, 1, 3), dtype=np.uint16), np.zeros((num_steps, 1), dtype=np.int64))

    monkeypatch.setattr(ray, "get", lambda block: block)
    workers = [FeedWorker(Counting(), Place("here", False))]
    batches = load_batches(workers, range(20), steps_per_block=2, prefetch_blocks=prefetch_blocks, rank_of=(0, 1))
    for step, batch in enumerate(batches):
        assert batch.step == step
        assert asked == list(range(0, min(20, 2 * (step // 2 + 1 + prefetch_blocks)), 2))


class Failing:
    """A worker whose task has failed on another machine."""

    def __init__(self) -> None:
        self.block = self

    def remote(self, *_: Any) -> str:
        return "asked"


@pytest.mark.parametrize("cause", [ShardError("gone: shard"), ValueError("a bug")])
def test_the_error_of_a_worker_is_raised_as_it_was_if_it_is_ours(monkeypatch: pytest.MonkeyPatch, cause: Exception) -> None:
    def fail(_: object) -> None:
        raise ray.exceptions.RayTaskError("block", "a traceback", cause)

    monkeypatch.setattr(ray, "get", fail)
    expected = ShardError if isinstance(cause, ShardError) else ray.exceptions.RayTaskError
    with pytest.raises(expected) as caught:
        next(load_batches([FeedWorker(Failing(), Place("here", False))], range(4), steps_per_block=2, prefetch_blocks=1, rank_of=(0, 1)))
    assert (caught.value is cause) == isinstance(cause, ShardError)
