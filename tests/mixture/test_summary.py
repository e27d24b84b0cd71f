"""The figures of a plan against counting them one sequence at a time."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given

from orchestrator.mixture.plan import Plan
from orchestrator.mixture.planning import amended
from orchestrator.mixture.summary import summarise
from tests.mixture.mixtures import LAW, plan_of, plans, stage_of, whole


def steps_of(plan: Plan) -> dict[str, list[int]]:
    """The steps, from 1, that train each source, by looking up every sequence."""
    steps: dict[str, set[int]] = {source.name: set() for source in plan.sources}
    for number, index in enumerate(plan.look_up(whole(plan)).sources.tolist()):
        steps[plan.sources[index].name].add(number // plan.sequences_per_step + 1)
    return {name: sorted(numbers) for name, numbers in steps.items()}


def rows(plan: Plan) -> dict[str, Mapping[str, Any]]:
    return {row["name"]: row for row in summarise(plan)["sources"]}


@LAW
@given(plans())
def test_first_step_last_step_and_updates_of_a_source_are_those_that_counting_finds(plan: Plan) -> None:
    counted, summary = steps_of(plan), rows(plan)
    for name, steps in counted.items():
        row = summary[name]
        expected = (steps[0], steps[-1], len(steps)) if steps else (None, None, 0)
        assert (row["first_step"], row["last_step"], row["updates"]) == expected


@LAW
@given(plans())
def test_the_figures_of_the_sources_add_up_to_those_of_the_run(plan: Plan) -> None:
    summary = summarise(plan)
    assert sum(row["trained_tokens"] for row in summary["sources"]) == summary["tokens"] == plan.tokens
    assert sum(row["share"] for row in summary["sources"]) == pytest.approx(1)
    assert summary["steps"] * summary["sequences_per_step"] * summary["sequence_length"] == summary["tokens"]
    for row in summary["sources"]:
        assert row["epochs"] == pytest.approx(row["trained_tokens"] / row["unique_tokens"])


@LAW
@given(plans())
def test_what_was_asked_for_and_its_rounding_add_up_to_what_is_trained(plan: Plan) -> None:
    summary = summarise(plan)
    assert sum(row["asked_share"] for row in summary["sources"]) == pytest.approx(1)
    assert sum(row["rounding_sequences"] for row in summary["sources"]) == pytest.approx(0, abs=1e-6)
    for row, due in zip(summary["sources"], plan.due_before([plan.steps])[0].tolist(), strict=True):
        assert row["sequences"] == pytest.approx(row["rounding_sequences"] + due)


@LAW
@given(plans())
def test_the_stages_follow_each_other_and_their_sequences_add_up_to_those_of_the_sources(plan: Plan) -> None:
    summary = summarise(plan)
    steps = [step for stage in summary["stages"] for step in range(stage["first_step"], stage["last_step"] + 1)]
    assert steps == list(range(1, plan.steps + 1))
    for row, *parts in zip(summary["sources"], *(stage["sources"] for stage in summary["stages"]), strict=True):
        assert {part["name"] for part in parts} == {row["name"]}
        assert sum(part["sequences"] for part in parts) == row["sequences"]


def test_amendments_are_listed_with_what_was_asked_for() -> None:
    plan = plan_of([stage_of([4, 4])])
    new = amended(plan, plan, from_step=3, at="2026-05-01", changes=["mixture.spec_share=0.2"])
    assert summarise(new)["amendments"] == [
        {"from_step": 3, "replaced": plan.fingerprint, "at": "2026-05-01", "changes": ("mixture.spec_share=0.2",)}
    ]


def test_a_run_longer_than_one_piece_of_the_count_is_summarised_as_a_whole() -> None:
    plan = plan_of([stage_of([3, 140_000, 7, 0])], roles=["spec", "general", "general", "general"])
    counted = steps_of(plan)
    for name, row in rows(plan).items():
        assert row["updates"] == len(counted[name])
        assert [row["first_step"], row["last_step"]] == ([counted[name][0], counted[name][-1]] if counted[name] else [None, None])
    assert counted["s0"][0] < 1 << 16 < counted["s0"][-1], "the rare source spans the pieces"


def test_a_source_that_is_never_trained_has_no_first_and_no_last_step() -> None:
    row = rows(plan_of([stage_of([0, 40], each=4)], roles=["spec", "general"], each=4))["s0"]
    assert (row["sequences"], row["trained_tokens"], row["epochs"], row["updates"]) == (0, 0, 0, 0)
    assert (row["first_step"], row["last_step"]) == (None, None)
