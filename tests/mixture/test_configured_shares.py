"""What is trained up to any moment against what was asked for: all stages, all rounding, repaid debts included."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.mixture.plan import Plan
from orchestrator.mixture.planning import make_plan
from orchestrator.mixture.stages import Stage, due_before
from tests.mixture.accounts import SLACK, Off, off, spec_off, worst
from tests.mixture.mixtures import LAW, plan_of, plans, roles, shares, shares_of, supply, wish

Mixture = tuple[Plan, list[Fraction]]
SPEC_DRIFT = 1.0  # sequences
DRIFT = 2.0


def planned(parts: list[Fraction], roles: list[str], num_sequences: int) -> Plan:
    supplies = [supply(f"s{i}", part, role=role) for i, (part, role) in enumerate(zip(parts, roles, strict=True))]
    return make_plan(supplies, [wish()], total_tokens=num_sequences * 8, sequence_length=8, sequences_per_step=1, seed=0)


@st.composite
def constant(draw: st.DrawFn) -> Mixture:
    """Plans long enough that every source is seen, and no longer than three times that."""
    parts, kinds = draw(shares())
    enough = int(Fraction(2) / min(parts)) + 1
    return planned(parts, kinds, draw(st.integers(enough, 3 * enough))), parts


def ahead(mixture: Mixture) -> Off:
    """(n, num_sources) sequences ahead at every prefix, or at 4,000 of many, the ends among them."""
    plan, parts = mixture
    prefixes = np.arange(plan.num_sequences + 1, dtype=np.int64)
    if plan.num_sequences > 4000:
        some = np.random.default_rng(0).integers(0, plan.num_sequences, 2000)
        prefixes = np.concatenate([np.arange(1000), some, plan.num_sequences - np.arange(1000)])
    found: Off = plan.spans.counts_before(prefixes) - prefixes[:, None] * np.array([float(part) for part in parts])
    return found


@LAW
@given(constant())
def test_at_every_prefix_the_spec_is_within_half_a_sequence_of_a_constant_share(mixture: Mixture) -> None:
    spec = [i for i, source in enumerate(mixture[0].sources) if source.role == "spec"]
    assert worst(ahead(mixture)[:, spec].sum(axis=1)) <= 0.5 + SLACK


@LAW
@given(constant())
def test_at_every_prefix_each_source_is_within_two_sequences_of_a_constant_share(mixture: Mixture) -> None:
    assert worst(ahead(mixture)) < DRIFT


@LAW
@given(constant())
def test_each_source_gets_its_share_of_the_run_within_one_sequence_and_a_whole_share_exactly(mixture: Mixture) -> None:
    plan, parts = mixture
    assert sum(plan.sequences) == plan.num_sequences
    for count, part in zip(plan.sequences, parts, strict=True):
        assert abs(count - plan.num_sequences * part) < 1


@LAW
@given(plans(counts=False))
def test_at_every_prefix_each_source_is_within_two_sequences_over_stages_and_ramps(plan: Plan) -> None:
    assert worst(off(plan)) < DRIFT


@LAW
@given(plans(counts=False))
def test_at_every_prefix_the_spec_is_within_one_sequence_over_stages_and_ramps(plan: Plan) -> None:
    assert worst(spec_off(plan)) <= SPEC_DRIFT + SLACK


@LAW
@given(plans())
def test_at_every_prefix_each_source_is_within_two_sequences_with_exact_counts_in_stages(plan: Plan) -> None:
    assert worst(off(plan)) < DRIFT


@LAW
@given(plans(most_stages=1))
def test_at_every_prefix_the_spec_is_within_one_sequence_with_exact_counts_in_a_stage(plan: Plan) -> None:
    assert worst(spec_off(plan)) <= SPEC_DRIFT + SLACK


@LAW
@given(plans())
def test_at_every_prefix_the_spec_is_within_one_and_a_half_sequences_where_counts_of_later_stages_bind_it(plan: Plan) -> None:
    """A stage may leave it three quarters off, and when all sources of one side have counts in the next, it stays so."""
    assert worst(spec_off(plan)) <= 1.5 + SLACK


@LAW
@given(plans(ramps=False, counts=False))
def test_the_spec_as_a_whole_is_within_three_quarters_of_a_sequence_over_constant_stages(plan: Plan) -> None:
    assert worst(spec_off(plan)) <= 0.75 + SLACK


@LAW
@given(st.integers(2, 40), st.data())
def test_a_ramp_of_many_sources_over_a_long_stage_keeps_to_its_line(count: int, data: st.DataObject) -> None:
    shares, ends = (tuple(data.draw(shares_of(count))) for _ in range(2))
    steps = data.draw(st.integers(500, 5000))
    plan = plan_of(
        [Stage(steps=steps, made_steps=steps, shares=shares, end_shares=ends, exact=(None,) * count)], roles=data.draw(roles(count))
    )
    assert worst(off(plan)) < DRIFT
    assert worst(spec_off(plan)) <= SPEC_DRIFT + SLACK


def test_a_ramp_from_nothing_to_all_is_the_integral_of_its_share() -> None:
    line = Stage(steps=1000, made_steps=1000, shares=(Fraction(0), Fraction(1)), end_shares=(Fraction(1), Fraction(0)), exact=(None, None))
    plan = plan_of([line], roles=["spec", "general"])
    steps = np.array([0, 100, 500, 1000])
    due = due_before(plan.stages, steps, 1)[:, 0]
    assert due.tolist() == [0, 5, 125, 500]
    assert np.abs(plan.spans.counts_before(steps)[:, 0] - due).max() < 1
    assert plan.sequences == [500, 500]


@pytest.mark.parametrize(
    ("weights", "roles", "num_sequences"),
    [
        ([6733, 30009, 18369, 6096, 809, 9270], ["general"] * 6, 337),
        ([6961, 30806, 16586, 6304, 842, 9372], ["spec"] * 6, 324),
        ([855, 1723, 3246, 6081, 6101, 10334, 15932, 29441, 43938, 59750, 125394, 251915], ["general"] * 12, 393),
        ([1] * 40, ["general"] * 40, 60),
    ],
)
def test_mixtures_that_searches_found_to_drift_most_are_within_it_too(weights: list[int], roles: list[str], num_sequences: int) -> None:
    parts = [Fraction(weight, sum(weights)) for weight in weights]
    assert worst(ahead((planned(parts, roles, num_sequences), parts))) < DRIFT


def test_a_millionth_is_trained_once_in_a_million_sequences_beside_39_other_sources() -> None:
    parts = [Fraction(1, 1_000_000), *[Fraction(999_999, 39_000_000)] * 39]
    mixture = (planned(parts, ["general", "spec", *["general"] * 38], 2_000_000), parts)
    assert mixture[0].sequences[0] == 2
    assert worst(ahead(mixture)) < DRIFT


def test_a_chain_of_stages_that_leaves_out_who_is_ahead_drives_the_last_source_as_far_as_it_must() -> None:
    """What no dealing can help that does not know the stages to come; docs/stages/mixture.md."""
    count, made = 40, list[Stage]()
    left = list(range(count))
    while len(left) > 1:
        shares = tuple(Fraction(1, len(left)) if i in left else Fraction(0) for i in range(count))
        steps = len(left) + 1
        made.append(Stage(steps=steps, made_steps=steps, shares=shares, end_shares=shares, exact=(None,) * count))
        first, last = plan_of(made).sequences_before([sum(stage.steps for stage in made[:-1]), sum(stage.steps for stage in made)])
        left = [i for i in left if last[i] - first[i] == 1]
    assert worst(off(plan_of(made))) == pytest.approx(sum(1 / k for k in range(2, count + 1)), abs=1e-6)
