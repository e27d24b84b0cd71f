"""What stands at a sequence number, and the file that says so."""

import dataclasses
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.mixture.plan import Amendment, Draws, Plan, PlannedSource
from orchestrator.mixture.plan_file import read_plan, write_plan
from orchestrator.mixture.summary import summarise
from tests.mixture.mixtures import LAW, plan_of, planned_by_weight, plans, stage_of, staged_plans, supply, whole

PLAN = plan_of([30, 0, 10], roles=["general", "spec", "spec"], sizes=[7, 5, 10], each=4, seed=11)


def rows(draws: Draws) -> list[tuple[int, int, int]]:
    return list(zip(draws.sources.tolist(), draws.epochs.tolist(), draws.positions.tolist(), strict=True))


def orders_of(plan: Plan) -> dict[str, list[tuple[int, int]]]:
    """(epoch, position) of each draw of each source, in the order of training."""
    orders: dict[str, list[tuple[int, int]]] = {source.name: [] for source in plan.sources}
    for index, epoch, position in rows(plan.look_up(whole(plan))):
        orders[plan.sources[index].name].append((epoch, position))
    return orders


@LAW
@given(st.one_of(plans(), staged_plans(most_sources=8)))
def test_every_sequence_of_an_epoch_is_trained_exactly_once_and_none_twice_in_the_last(plan: Plan) -> None:
    orders = orders_of(plan)
    for source in plan.sources:
        order, size = orders[source.name], source.unique_sequences
        assert [epoch for epoch, _ in order] == [draw // size for draw in range(len(order))]
        for start in range(0, len(order), size):
            epoch = [position for _, position in order[start : start + size]]
            assert len(set(epoch)) == len(epoch)
            assert set(epoch) <= set(range(size))


@LAW
@given(plans(), st.data())
def test_looking_up_in_pieces_from_any_step_gives_what_looking_up_at_once_gives(plan: Plan, data: st.DataObject) -> None:
    at_once = rows(plan.look_up(whole(plan)))
    cuts = sorted(data.draw(st.lists(st.integers(0, plan.num_sequences), max_size=5)))
    pieces = [rows(plan.look_up(piece)) for piece in np.split(whole(plan), cuts)]
    assert [row for piece in pieces for row in piece] == at_once


@LAW
@given(plans(), st.randoms(use_true_random=False))
def test_looking_up_in_any_order_gives_what_looking_up_in_order_gives(plan: Plan, pick: Any) -> None:
    numbers = whole(plan).tolist()
    pick.shuffle(numbers)
    at_once = rows(plan.look_up(whole(plan)))
    assert rows(plan.look_up(np.array(numbers))) == [at_once[number] for number in numbers]


@LAW
@given(plans(most_sources=10))
def test_the_place_of_a_sequence_does_not_depend_on_the_batch_it_is_trained_in(plan: Plan) -> None:
    (stage,) = plan.stages
    other = dataclasses.replace(
        plan, sequences_per_step=1, stages=(dataclasses.replace(stage, steps=plan.num_sequences, made_steps=plan.num_sequences),)
    )
    assert rows(other.look_up(whole(plan))) == rows(plan.look_up(whole(plan)))


@LAW
@given(st.integers(20, 60), st.integers(0, 1 << 40), st.sampled_from(["spec", "general"]), st.integers(0, 2))
def test_adding_a_source_changes_no_other_sources_own_order(size: int, seed: int, role: str, at: int) -> None:
    shares = {"spec": Fraction(1, 5), "code": Fraction(4, 5), "new": Fraction(1)}

    def planned(names: list[str], factor: Fraction) -> Plan:
        supplies = [supply(n, factor * shares[n], role="spec" if n == "spec" else role, unique=size, max_epochs=9) for n in names]
        return planned_by_weight(supplies, total_tokens=8 * 100, sequences_per_step=4, seed=seed)

    names = ["spec", "code"]
    before = planned(names, Fraction(1))
    names.insert(at, "new")
    after = planned(names, Fraction(1, 2))
    for name in ("spec", "code"):
        shorter, longer = sorted((orders_of(before)[name], orders_of(after)[name]), key=len)
        assert len(shorter) >= 9
        assert longer[: len(shorter)] == shorter


@LAW
@given(st.integers(30, 60), st.integers(0, 1 << 62), st.integers(1, 1 << 40))
def test_another_seed_trains_the_same_counts_in_another_order(size: int, seed: int, further: int) -> None:
    one = plan_of([60, 60], sizes=[size, size], seed=seed)
    other = dataclasses.replace(one, seed=seed + further)
    assert np.array_equal(one.look_up(whole(one)).sources, other.look_up(whole(one)).sources)
    for name in ("s0", "s1"):
        assert orders_of(one)[name] != orders_of(other)[name]


@LAW
@given(plans())
def test_a_plan_that_was_written_is_read_as_the_same_plan(tmp_path_factory: pytest.TempPathFactory, plan: Plan) -> None:
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    write_plan(plan, path)
    again = read_plan(path)
    assert again == plan
    assert again.fingerprint == plan.fingerprint
    assert rows(again.look_up(whole(plan))) == rows(plan.look_up(whole(plan)))


def test_shares_and_names_survive_the_file_to_the_bit(tmp_path: Path) -> None:
    supplies = [supply("spécification-規範", Fraction(1, 3), role="spec"), supply("code.v2", Fraction(2, 3))]
    plan = planned_by_weight(supplies, total_tokens=1200, sequences_per_step=3, seed=(1 << 64) + 5)
    write_plan(plan, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan


def test_the_file_holds_fingerprint_and_summary_for_people_and_scripts(tmp_path: Path) -> None:
    write_plan(PLAN, tmp_path / "plan.json")
    content = json.loads((tmp_path / "plan.json").read_text())
    assert content["fingerprint"] == PLAN.fingerprint
    assert content["summary"] == summarise(PLAN)


OTHER_VALUES: dict[str, Any] = {
    "sequence_length": 9,
    "sequences_per_step": 5,
    "stages": (stage_of([20, 10, 10], 4),),
    "seed": 12,
    "name": "other",
    "role": "chat",
    "fingerprint": "other",
    "unique_sequences": 8,
    "trained_tokens": 31,
}


@pytest.mark.parametrize("field", ["sequence_length", "sequences_per_step", "seed", "stages"])
def test_the_fingerprint_changes_with_each_field_of_the_plan(field: str) -> None:
    changes = {field: OTHER_VALUES[field]}
    assert dataclasses.replace(PLAN, **changes).fingerprint != PLAN.fingerprint


@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(PlannedSource)])
def test_the_fingerprint_changes_with_each_field_of_each_source(field: str, index: int) -> None:
    changes = {field: OTHER_VALUES[field]}
    sources = list(PLAN.sources)
    sources[index] = dataclasses.replace(sources[index], **changes)
    assert dataclasses.replace(PLAN, sources=tuple(sources)).fingerprint != PLAN.fingerprint


def test_the_fingerprint_changes_with_the_order_of_the_sources() -> None:
    assert dataclasses.replace(PLAN, sources=PLAN.sources[::-1]).fingerprint != PLAN.fingerprint


def test_plans_made_twice_from_the_same_values_have_the_same_fingerprint() -> None:
    assert dataclasses.replace(PLAN).fingerprint == PLAN.fingerprint


@pytest.mark.parametrize(
    "changes", [{"steps": 11}, {"made_steps": 9}, {"shares": (1, 0, 0)}, {"end_shares": (1, 0, 0)}, {"exact": (30, None, None)}]
)
def test_the_fingerprint_changes_with_each_field_of_a_stage(changes: dict[str, Any]) -> None:
    stage = dataclasses.replace(PLAN.stages[0], **changes)
    assert dataclasses.replace(PLAN, stages=(stage,)).fingerprint != PLAN.fingerprint


def test_what_was_asked_for_and_when_does_not_change_the_fingerprint() -> None:
    amendment = Amendment(from_step=3, replaced="f", at="now", changes=("a=b",))
    assert dataclasses.replace(PLAN, request="r", amendments=(amendment,)).fingerprint == PLAN.fingerprint


@LAW
@given(staged_plans(most_sources=6))
def test_a_plan_of_stages_that_was_written_is_read_as_the_same_plan(tmp_path_factory: pytest.TempPathFactory, plan: Plan) -> None:
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    amendment = Amendment(from_step=3, replaced="f", at="now", changes=("a=b", "c=d"))
    plan = dataclasses.replace(plan, request="r", amendments=(amendment,))
    write_plan(plan, path)
    assert read_plan(path) == plan
