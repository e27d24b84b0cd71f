"""Ranks only slice the one global order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.feed.slices import rank_numbers, steps_per_block

BATCHES = st.integers(1, 12).flatmap(lambda world: st.tuples(st.just(world), st.integers(1, 8).map(lambda each: each * world)))


@settings(deadline=None)
@given(BATCHES, st.integers(0, 1 << 35), st.integers(0, 20))
def test_the_ranks_together_train_every_number_of_a_span_once(batch: tuple[int, int], first_step: int, num_steps: int) -> None:
    world_size, each = batch
    parts = [rank_numbers(first_step, num_steps, rank=rank, world_size=world_size, sequences_per_step=each) for rank in range(world_size)]
    assert {part.shape for part in parts} == {(num_steps, each // world_size)}
    numbers = np.concatenate([part.ravel() for part in parts]).tolist()
    assert sorted(numbers) == list(range(first_step * each, (first_step + num_steps) * each))


@settings(deadline=None)
@given(BATCHES, st.integers(0, 1 << 35), st.integers(1, 20))
def test_each_step_trains_the_numbers_of_its_step_at_any_world_size(batch: tuple[int, int], first_step: int, num_steps: int) -> None:
    world_size, each = batch
    alone = rank_numbers(first_step, num_steps, rank=0, world_size=1, sequences_per_step=each)
    parts = [rank_numbers(first_step, num_steps, rank=rank, world_size=world_size, sequences_per_step=each) for rank in range(world_size)]
    assert np.array_equal(np.concatenate(parts, axis=1), alone)
    assert np.array_equal(alone // each, np.arange(first_step, first_step + num_steps)[:, None].repeat(each, axis=1))


@settings(deadline=None)
@given(BATCHES, st.integers(0, 1000), st.integers(0, 10), st.integers(0, 10))
def test_two_spans_after_each_other_are_the_span_of_both(batch: tuple[int, int], first_step: int, num_steps: int, more: int) -> None:
    world_size, each = batch
    for rank in range(world_size):
        whole, one, two = (
            rank_numbers(start, steps, rank=rank, world_size=world_size, sequences_per_step=each)
            for start, steps in ((first_step, num_steps + more), (first_step, num_steps), (first_step + num_steps, more))
        )
        assert np.array_equal(np.vstack([one, two]), whole)


@settings(deadline=None)
@given(st.integers(1, 1 << 30), st.integers(1, 1 << 16), st.integers(1, 64))
def test_a_block_has_as_many_steps_as_fit_its_size_and_at_least_one(block_bytes: int, sequence_bytes: int, per_rank: int) -> None:
    steps, step_bytes = steps_per_block(block_bytes, sequence_bytes=sequence_bytes, sequences_per_rank=per_rank), sequence_bytes * per_rank
    assert steps >= 1
    assert steps == 1 or steps * step_bytes <= block_bytes
    assert (steps + 1) * step_bytes > block_bytes


@pytest.mark.parametrize(("block_bytes", "steps"), [(1, 1), (8191, 1), (8192, 1), (16383, 1), (16384, 2), (1 << 20, 128)])
def test_steps_of_a_block_by_example(block_bytes: int, steps: int) -> None:
    assert steps_per_block(block_bytes, sequence_bytes=2 * 1024, sequences_per_rank=4) == steps
