"""Sources that are given as passes or tokens get exactly that, whatever else is asked for."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import MixtureError
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.planning import make_plan
from orchestrator.mixture.stages import Stage
from orchestrator.mixture.wishes import StageWish, Supply
from tests.mixture.mixtures import LAW, plan_of, plans, roles, rows, supply, wish


def planned(supplies: list[Supply], wishes: list[StageWish], num_sequences: int, each: int = 1) -> Plan:
    return make_plan(supplies, wishes, total_tokens=num_sequences * 8, sequence_length=8, sequences_per_step=each, seed=0)


def once(plan: Plan, name: str) -> list[int]:
    """The positions of a source in the order of training."""
    return [position for source, _, position in rows(plan) if source == name]


@LAW
@given(st.integers(1, 60), st.integers(1, 12), st.integers(1, 7), st.sampled_from(["spec", "general"]), st.booleans())
def test_one_pass_trains_every_unique_sequence_once_and_not_one_of_a_second_pass(
    unique: int, others: int, each: int, role: str, ramp: bool
) -> None:
    web = [supply("spec", role="spec"), *(supply(f"s{i}", weight=i + 1) for i in range(others))]
    asked = wish(0.1, 0.3, source_epochs={"rules": 1.0}) if ramp else wish(source_epochs={"rules": 1.0})
    steps = -(-(unique * 20 + 60 * (others + 1) ** 2) // each)
    plan = planned([supply("rules", role=role, unique=unique), *web], [asked], steps * each, each)
    assert plan.sequences[0] == unique
    assert sorted(once(plan, "rules")) == list(range(unique))
    assert {epoch for source, epoch, _ in rows(plan) if source == "rules"} == {0}


@LAW
@given(plans(), st.data())
def test_every_stage_has_exactly_the_counts_it_was_asked_for(plan: Plan, data: st.DataObject) -> None:
    plan = replace(plan, stages=tuple(replace(stage, made_steps=stage.steps) for stage in plan.stages))
    ends = np.cumsum([0, *(stage.steps for stage in plan.stages)])
    counts = np.diff(plan.sequences_before(ends), axis=0)
    for stage, got in zip(plan.stages, counts.tolist(), strict=True):
        assert [count for count, asked in zip(got, stage.exact, strict=True) if asked is not None] == [
            asked for asked in stage.exact if asked is not None
        ]


@st.composite
def crowded(draw: st.DrawFn) -> Plan:
    """After a stage of rounding, a ramp in which nearly all is counted, and the few others go up and down."""
    counted, free = draw(st.integers(4, 32)), draw(st.integers(1, 8))
    each_count = draw(st.integers(1, 12))
    sizes, rest = [each_count + draw(st.integers(0, 2)) for _ in range(counted)], draw(st.integers(0, 8))
    length, count = sum(sizes) + rest, counted + free
    tops = [draw(st.lists(st.integers(1, 50), min_size=free, max_size=free)) for _ in range(2)]
    start, end = (
        (*(Fraction(size, length) for size in sizes), *(Fraction(top * rest, sum(drawn) * length) for top in drawn)) for drawn in tops
    )
    exact = (*sizes, *(None for _ in range(free)))
    equal, steps = (Fraction(1, count),) * count, draw(st.integers(1, 60))
    first = Stage(steps=steps, made_steps=steps, shares=equal, end_shares=equal, exact=(None,) * count)
    ramp = Stage(steps=length, made_steps=length, shares=start, end_shares=end, exact=exact)
    return plan_of([first, ramp][draw(st.integers(0, 1)) :], roles=draw(roles(count)))


@LAW
@given(crowded())
def test_counts_that_fill_a_ramp_nearly_whole_are_met_all_the_same(plan: Plan) -> None:
    last = plan.stages[-1]
    got = np.subtract(plan.sequences, plan.sequences_before([plan.steps - last.steps])[0])
    assert [count for count, asked in zip(got, last.exact, strict=True) if asked is not None] == [c for c in last.exact if c is not None]
    assert sum(plan.sequences) == plan.num_sequences


@LAW
@given(st.integers(1, 500), st.integers(1, 20))
def test_tokens_are_met_to_the_sequence_below(tokens: int, length: int) -> None:
    asked = tokens + length  # at least a sequence
    supplies = [supply("rules", role="spec", tokens=length, max_epochs=None), supply("web", tokens=length)]
    plan = planned(supplies, [wish(source_tokens={"rules": asked})], 2000)
    assert plan.sequences == [asked // length, 2000 - asked // length]


@pytest.mark.parametrize(
    ("epochs", "unique", "count"), [(1.0, 7, 7), (2.0, 7, 14), (0.5, 7, 3), (1.1, 10, 11), (0.29, 100, 29), (2.3, 10, 23)]
)
def test_passes_are_met_to_the_sequence_below(epochs: float, unique: int, count: int) -> None:
    plan = planned([supply("rules", role="spec", unique=unique), supply("web")], [wish(source_epochs={"rules": epochs})], 100)
    assert plan.sequences == [count, 100 - count]


def test_a_count_beside_the_dial_is_within_the_share_of_its_side() -> None:
    supplies = [supply("rules", role="spec"), supply("code", unique=25), supply("web")]
    plan = planned(supplies, [wish(0.2, source_epochs={"code": 1.0})], 100)
    assert plan.sequences == [20, 25, 55]


def test_counts_in_several_stages_are_met_in_each_and_other_stages_go_by_weight() -> None:
    supplies = [supply("rules", role="spec", unique=13), supply("code", weight=3, max_epochs=None), supply("web")]
    wishes = [
        wish(source_epochs={"rules": 1.0}, steps=5, key="mixture.stages[0]"),
        wish(0.0, steps=5, key="mixture.stages[1]"),
        wish(source_epochs={"rules": 2.0}, source_tokens={"web": 8 * 11}, key="mixture.stages[2]"),
    ]
    plan = planned(supplies, wishes, 160, each=10)
    counts = np.diff(plan.sequences_before([0, 5, 10, 16]), axis=0).tolist()
    assert [row[0] for row in counts] == [13, 0, 26]
    assert counts[2] == [26, 60 - 26 - 11, 11]
    assert sorted(once(plan, "rules")) == sorted([*range(13)] * 3)


def test_a_second_pass_that_nobody_asked_for_is_refused_and_one_that_a_stage_names_is_not() -> None:
    supplies = [supply("rules", role="spec", unique=10), supply("web")]
    again = [wish(source_epochs={"rules": 1.0}, steps=5, key="a"), wish(source_epochs={"rules": 1.0}, key="b")]
    assert planned(supplies, again, 100, each=10).sequences[0] == 20
    with pytest.raises(
        MixtureError, match=r"'rules' has 80 unique tokens; the plan needs 1\.\d+ epochs, over mixture\.max_epochs\.rules=1"
    ):
        planned(supplies, [again[0], wish(0.1, key="b")], 100, each=10)
