"""What is wrong where a worker reads comes back as our own error, with the file."""

from pathlib import Path
from typing import Any

import pytest
import ray

from orchestrator.errors import ShardError
from orchestrator.feed.loader import load_batches
from orchestrator.feed.worker import FeedWorker, Place, _Worker
from tests.support.prepared import make_run, write_prepared


def test_a_worker_can_be_made_and_says_at_its_first_block_which_shards_are_gone(tmp_path: Path) -> None:
    config = write_prepared(tmp_path)
    run = make_run(config)
    for shard in (Path(config.shards.dir) / "docs").glob("*.bin"):
        shard.unlink()
    worker = _Worker(str(run.plan), config.shards.dir)
    with pytest.raises(ShardError, match=str(Path(config.shards.dir) / "docs")):
        worker.block(0, 10, 0, 2)


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
