"""Real workers of a real Ray cluster: where they stand, and what the ranks get when workers die."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import ray

from orchestrator.config.schema import Config
from orchestrator.feed.block import BlockBuilder
from orchestrator.feed.loader import Batch, load_batches
from orchestrator.feed.worker import FeedWorker, Place, start_workers, workers_for
from orchestrator.mixture.plan_file import read_plan
from orchestrator.runs.directory import RunDirectory
from orchestrator.scheduling.cluster import cluster_nodes, ray_cluster
from orchestrator.scheduling.placement import feed_places
from orchestrator.shards.manifest import read_manifest
from orchestrator.shards.reader import ShardReader
from tests.support.prepared import make_run, write_prepared

STEPS = 120
SLICES = ((0, 1), (1, 3))  # (rank, world size)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    changes = {"mixture.total_tokens": STEPS * 6 * 32, "mixture.max_epochs": "{spec: 9, code: 9, docs: 9}"}
    return write_prepared(tmp_path_factory.mktemp("survival"), **{"training.sequences_per_step": 6, "scheduling.world_size": 1, **changes})


@pytest.fixture(scope="module")
def run(config: Config) -> RunDirectory:
    return make_run(config)


@pytest.fixture(scope="module")
def places(config: Config) -> Iterator[list[Place]]:
    with ray_cluster(num_cpus=2):
        yield feed_places(cluster_nodes(), config.feed, gpus_per_rank=0)


@pytest.fixture(scope="module")
def workers(config: Config, run: RunDirectory, places: list[Place]) -> list[FeedWorker]:
    """Workers for all tests: that others killed them before must not show."""
    return start_workers(run.plan, Path(config.shards.dir), places)


@pytest.fixture(scope="module")
def expected(config: Config, run: RunDirectory) -> dict[tuple[int, int], list[bytes]]:
    """The batches of each slice, built here in one piece."""
    plan, shards = read_plan(run.plan), Path(config.shards.dir)
    readers = [ShardReader(shards / name, read_manifest(shards / name, name), "train") for name in config.sources]
    blocks = {rank_of: BlockBuilder(plan, readers).build(range(STEPS), rank=rank_of[0], world_size=rank_of[1]) for rank_of in SLICES}
    return {rank_of: [tokens.tobytes() for tokens in block.tokens] for rank_of, block in blocks.items()}


def _process_id(_: object) -> int:
    return os.getpid()


def load(workers: list[FeedWorker], rank_of: tuple[int, int], start: int = 0) -> Iterator[Batch]:
    return load_batches(workers, range(start, STEPS), steps_per_block=7, prefetch_blocks=3, rank_of=rank_of)


def test_workers_stand_on_every_node_and_ranks_ask_those_beside_them(workers: list[FeedWorker], places: list[Place]) -> None:
    node = ray.get_runtime_context().get_node_id()
    assert places == [Place(node, False)] * 2
    assert workers_for(workers, node) == workers


@pytest.mark.parametrize(("killed", "rank_of"), [("one", SLICES[0]), ("all", SLICES[1])])
def test_workers_that_are_killed_in_mid_run_are_replaced_and_no_batch_is_lost_doubled_or_moved(
    workers: list[FeedWorker], expected: dict[tuple[int, int], list[bytes]], killed: str, rank_of: tuple[int, int]
) -> None:
    pick = random.Random(f"{killed}{rank_of}")
    fatal = set(pick.sample(range(5, STEPS - 10), 2))
    got = []
    for batch in load(workers, rank_of):
        if batch.step in fatal:
            for worker in workers if killed == "all" else [pick.choice(workers)]:
                ray.kill(worker.actor, no_restart=False)
        got.append((batch.step, batch.tokens.tobytes()))
    assert got == list(enumerate(expected[rank_of]))


def test_a_worker_whose_process_is_killed_by_the_system_is_replaced(
    workers: list[FeedWorker], expected: dict[tuple[int, int], list[bytes]]
) -> None:
    got = []
    for batch in load(workers, (0, 1)):
        if batch.step == 40:
            os.kill(ray.get(workers[0].actor.__ray_call__.remote(_process_id)), 9)
        got.append(batch.tokens.tobytes())
    assert got == expected[0, 1]


@pytest.mark.parametrize("start", [1, 6, 7, 63, STEPS - 1])
def test_starting_at_any_step_gives_what_passing_through_it_gives(
    workers: list[FeedWorker], expected: dict[tuple[int, int], list[bytes]], start: int
) -> None:
    assert [batch.tokens.tobytes() for batch in load(workers, (0, 1), start)] == expected[0, 1][start:]


@pytest.mark.parametrize(("num_workers", "steps_per_block"), [(1, 1), (2, 11), (2, STEPS)])
def test_the_same_batches_come_whatever_the_number_of_workers_and_the_size_of_blocks(
    workers: list[FeedWorker], expected: dict[tuple[int, int], list[bytes]], num_workers: int, steps_per_block: int
) -> None:
    batches = load_batches(workers[:num_workers], range(STEPS), steps_per_block=steps_per_block, prefetch_blocks=1, rank_of=(1, 3))
    assert [batch.tokens.tobytes() for batch in batches] == expected[1, 3]


def test_arrays_that_ranks_get_cannot_be_changed_by_accident(workers: list[FeedWorker]) -> None:
    batch = next(load(workers, (0, 1)))
    with pytest.raises(ValueError, match="read-only"):
        batch.tokens[0, 0] = 0
    assert np.issubdtype(batch.tokens.dtype, np.unsignedinteger)
