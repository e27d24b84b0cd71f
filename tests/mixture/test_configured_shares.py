"""What is trained up to any moment against the shares that were asked for: constant, in stages, along ramps, beside exact counts."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from orchestrator.mixture.plan import Plan
from orchestrator.mixture.stages import Stage
from tests.mixture.mixtures import LAW, fibonacci, plan_of, plans, staged_plans

SPEC_OFF, MOST_OFF = 1.0, 2.0
SLACK = 1e-6  # of float64 in the comparison


def due_at_every_prefix(plan: Plan) -> NDArray[np.float64]:
    """What each source is due of every prefix; one with an exact count in a stage begins it with what it has, for that count is exact."""
    per_step, counts = plan.sequences_per_step, plan.spans.counts_before(np.arange(plan.num_sequences + 1))
    due, start = np.zeros(counts.shape), 0
    for stage in plan.stages:
        length = stage.steps * per_step
        n = np.arange(length + 1)[:, None]
        level, end = (np.array([float(share) for share in shares]) for shares in (stage.shares, stage.end_shares))
        exact = np.array([count is not None for count in stage.exact])
        base = np.where(exact, counts[start], due[start])
        due[start : start + length + 1] = base + level * n + (end - level) * n * n / (2 * length)
        start += length
    return due


def ahead(plan: Plan) -> NDArray[np.float64]:
    """How many sequences each source is ahead of its due at every prefix."""
    off: NDArray[np.float64] = plan.spans.counts_before(np.arange(plan.num_sequences + 1)) - due_at_every_prefix(plan)
    return off


def spec_ahead(plan: Plan) -> NDArray[np.float64]:
    """The same for the spec as a whole, whose account no stage begins anew."""
    spec = [i for i, source in enumerate(plan.sources) if source.role == "spec"]
    numbers = np.arange(0, plan.num_sequences + 1)
    one_by_one = Plan(
        sequence_length=plan.sequence_length,
        sequences_per_step=1,
        seed=plan.seed,
        sources=plan.sources,
        stages=tuple(replace(stage, steps=_length(plan, stage), made_steps=_length(plan, stage)) for stage in plan.stages),
    )
    off: NDArray[np.float64] = (plan.spans.counts_before(numbers) - one_by_one.due_before(numbers))[:, spec].sum(axis=1)
    return off


def _length(plan: Plan, stage: Stage) -> int:
    return stage.steps * plan.sequences_per_step


@LAW
@given(st.one_of(plans(), staged_plans()))
def test_at_every_prefix_the_spec_sources_together_are_within_one_sequence_of_their_share(plan: Plan) -> None:
    assert np.abs(spec_ahead(plan)).max(initial=0) <= SPEC_OFF + SLACK


@LAW
@given(st.one_of(plans(), staged_plans()))
@example(plan_of([int(weight) for weight in fibonacci(24)]))
@example(plan_of([int(weight) for weight in fibonacci(24)], roles=["general"] * 23 + ["spec"]))
def test_at_every_prefix_each_source_is_within_two_sequences_of_its_share(plan: Plan) -> None:
    assert np.abs(ahead(plan)).max() < MOST_OFF + SLACK


@pytest.mark.parametrize(
    ("weights", "roles", "num_sequences"),
    [
        ([6733, 30009, 18369, 6096, 809, 9270], ["general"] * 6, 337),
        ([6961, 30806, 16586, 6304, 842, 9372], ["spec"] * 6, 324),
        ([855, 1723, 3246, 6081, 6101, 10334, 15932, 29441, 43938, 59750, 125394, 251915], ["general"] * 12, 393),
    ],
)
def test_mixtures_that_a_search_found_to_drift_most_are_within_it_too(weights: list[int], roles: list[str], num_sequences: int) -> None:
    plan = plan_of([1] * len(weights), roles=roles)
    shares = tuple(Fraction(weight, sum(weights)) for weight in weights)
    stage = Stage(steps=num_sequences, made_steps=num_sequences, shares=shares, end_shares=shares, exact=(None,) * len(shares))
    searched = Plan(sequence_length=8, sequences_per_step=1, seed=0, sources=plan.sources, stages=(stage,))
    assert np.abs(ahead(searched)).max() < MOST_OFF


@LAW
@given(staged_plans())
def test_a_source_with_an_exact_count_in_a_stage_gets_just_that_there(plan: Plan) -> None:
    start = 0
    for stage in plan.stages:
        before, after = plan.sequences_before([start, start + stage.steps])
        for count, got in zip(stage.exact, (after - before).tolist(), strict=True):
            assert count in (None, got)
        start += stage.steps
