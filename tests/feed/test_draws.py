"""Draws that are looked up in stretches are those of the plan, whatever was asked before."""

from fractions import Fraction
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.feed.draws import DrawsAhead
from orchestrator.feed.slices import rank_numbers
from orchestrator.mixture.plan import Plan, PlannedSource
from orchestrator.mixture.stages import Stage
from orchestrator.shards.gathering import Gatherer
from orchestrator.shards.manifest import Shard
from orchestrator.shards.reader import ShardReader
from tests.mixture.mixtures import LAW, plans
from tests.support.prepared import manifest_of


def test_ranks_beyond_those_that_are_kept_draw_what_the_plan_says() -> None:
    shares = (Fraction(1),)
    stage = Stage(steps=5, made_steps=5, shares=shares, end_shares=shares, exact=(None,))
    planned = PlannedSource(name="a", role="general", fingerprint="", unique_sequences=1000, trained_tokens=4000)
    plan = Plan(sequence_length=4, sequences_per_step=200, seed=1, sources=(planned,), stages=(stage,))
    ahead = DrawsAhead(plan, Gatherer([reader_of(1000, 4)]))
    for _ in range(2):
        found = [ahead.at(range(2, 4), rank=rank, world_size=100).positions for rank in range(100)]
        assert (
            np.concatenate([each.reshape(2, 2) for each in found], axis=1).ravel().tolist()
            == plan.look_up(np.arange(400, 800)).positions.tolist()
        )


def reader_of(unique_sequences: int, sequence_length: int) -> ShardReader:
    """Two shards that no one opens."""
    tokens = unique_sequences * sequence_length + 1
    shards = [Shard(file=f"{part}.bin", tokens=part, documents=1, xxhash="") for part in (tokens // 3, tokens - tokens // 3)]
    return ShardReader(Path("nowhere"), manifest_of(shards), "train")


@LAW
@given(plans(most_sources=5), st.integers(1, 40), st.data())
def test_any_steps_of_any_rank_in_any_order_are_those_of_the_plan(plan: Plan, at_once: int, data: st.DataObject) -> None:
    gatherer = Gatherer([reader_of(source.unique_sequences, plan.sequence_length) for source in plan.sources])
    ahead = DrawsAhead(plan, gatherer, at_once=at_once)
    for _ in range(4):
        start = data.draw(st.integers(0, plan.steps - 1))
        steps = range(start, data.draw(st.integers(start + 1, plan.steps)))
        world_size = data.draw(st.sampled_from([n for n in range(1, 13) if plan.sequences_per_step % n == 0]))
        rank = data.draw(st.integers(0, world_size - 1))
        numbers = rank_numbers(start, len(steps), rank=rank, world_size=world_size, sequences_per_step=plan.sequences_per_step)
        expected, got = plan.look_up(numbers.ravel()), ahead.at(steps, rank=rank, world_size=world_size)
        assert np.array_equal(got.sources, expected.sources)
        assert np.array_equal(got.positions, expected.positions)
        places = gatherer.places(expected.sources, expected.positions, plan.sequence_length)
        assert np.array_equal(got.places.shards, places.shards)
        assert np.array_equal(got.places.starts, places.starts)
