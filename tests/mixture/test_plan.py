"""What stands at a sequence number, whoever asks and however much at once."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.mixture.plan import ORDER, Plan
from orchestrator.mixture.planning import make_plan
from orchestrator.mixture.wishes import Ratios
from tests.mixture.mixtures import LAW, plan_of, plans, rows, stage_of, supply, whole, wish


def orders_of(plan: Plan) -> dict[str, list[tuple[int, int]]]:
    """(epoch, position) of each draw of each source, in the order of training."""
    orders: dict[str, list[tuple[int, int]]] = {source.name: [] for source in plan.sources}
    for name, epoch, position in rows(plan):
        orders[name].append((epoch, position))
    return orders


def test_a_plan_comes_to_the_order_that_its_number_stands_for() -> None:
    """Where this changes, `ORDER` is raised: a run that goes on with another order loses and repeats sequences."""
    shares = {"spec": Fraction(1, 7), "web": Fraction(1, 2), "code": Fraction(5, 14)}
    supplies = [
        supply(name, share, role="spec" if name == "spec" else "general", unique=90, max_epochs=None) for name, share in shares.items()
    ]
    stages = [wish(0.0, 0.4, key="ramp"), wish(0.2, steps=30, source_tokens={"code": 400}, key="rest")]
    plan = make_plan(supplies, stages, total_tokens=8_000, sequence_length=8, sequences_per_step=10, seed=(1 << 63) + 7)
    order = xxhash.xxh3_64_hexdigest(repr(rows(plan)).encode())
    assert (ORDER, order) == (1, "e1c02aa324377ca0")


def test_the_order_of_a_source_that_is_used_in_part_belongs_to_that_number_too() -> None:
    plan = plan_of([stage_of([300, 100])], roles=["general", "spec"], sizes=[200, 70], parts=[120, 11], seed=5)
    order = xxhash.xxh3_64_hexdigest(repr(rows(plan)).encode())
    assert (ORDER, order) == (1, "0033fab835710e7d")


@LAW
@given(plans())
def test_every_sequence_of_an_epoch_is_trained_exactly_once_and_none_twice_in_the_last(plan: Plan) -> None:
    orders = orders_of(plan)
    for index, source in enumerate(plan.sources):
        order, size = orders[source.name], source.epoch.sequences
        used = {position for position in range(source.unique_sequences) if plan.is_used(index, position)}
        assert len(used) == size
        assert [epoch for epoch, _ in order] == [draw // size for draw in range(plan.sequences[index])]
        for start in range(0, len(order), size):
            epoch = [position for _, position in order[start : start + size]]
            assert len(set(epoch)) == len(epoch)
            assert set(epoch) <= used


@LAW
@given(plans(), st.data())
def test_looking_up_in_pieces_from_any_step_gives_what_looking_up_at_once_gives(plan: Plan, data: st.DataObject) -> None:
    at_once = rows(plan)
    cuts = sorted(data.draw(st.lists(st.integers(0, plan.num_sequences), max_size=5)))
    pieces = [rows(plan, piece) for piece in np.split(whole(plan), cuts)]
    assert [row for piece in pieces for row in piece] == at_once


@LAW
@given(plans(), st.integers(1, 12), st.integers(1, 5), st.integers(0, 60))
def test_ranks_that_each_ask_for_their_part_of_each_step_from_any_step_on_get_the_order_of_one(
    plan: Plan, world_size: int, steps_at_once: int, first_step: int
) -> None:
    """Every world size, block size and restart point."""
    each, at_once = plan.sequences_per_step, rows(plan)
    found: dict[int, tuple[str, int, int]] = {}
    for block in range(min(first_step, plan.steps), plan.steps, steps_at_once):
        for rank in range(world_size):
            steps = range(block, min(block + steps_at_once, plan.steps))
            numbers = np.array([step * each + i for step in steps for i in range(rank, each, world_size)], dtype=np.int64)
            found |= dict(zip(numbers.tolist(), rows(plan, numbers), strict=True))
    assert [found[number] for number in sorted(found)] == at_once[min(first_step, plan.steps) * each :]


@LAW
@given(plans(), st.randoms(use_true_random=False))
def test_looking_up_in_any_order_gives_what_looking_up_in_order_gives(plan: Plan, pick: Any) -> None:
    numbers = whole(plan).tolist()
    pick.shuffle(numbers)
    at_once = rows(plan)
    assert rows(plan, np.array(numbers)) == [at_once[number] for number in numbers]


@LAW
@given(plans(most_sources=10))
def test_the_place_of_a_sequence_does_not_depend_on_the_batch_it_is_trained_in(plan: Plan) -> None:
    each = plan.sequences_per_step
    stages = tuple(replace(stage, steps=stage.steps * each, made_steps=stage.made_steps * each) for stage in plan.stages)
    assert rows(replace(plan, sequences_per_step=1, stages=stages)) == rows(plan)


@LAW
@given(st.integers(20, 60), st.integers(0, 1 << 40), st.sampled_from(["spec", "general"]), st.integers(0, 2))
def test_adding_a_source_changes_no_other_sources_own_order(size: int, seed: int, role: str, at: int) -> None:
    shares = {"spec": Fraction(1, 5), "code": Fraction(4, 5), "new": Fraction(1)}

    def planned(names: list[str], factor: Fraction) -> Plan:
        supplies = [supply(name, role="spec" if name == "spec" else role, unique=size, max_epochs=9) for name in names]
        ratios = Ratios(by_source={name: factor * shares[name] for name in names})
        return make_plan(supplies, [wish(ratios)], total_tokens=8 * 100, sequence_length=8, sequences_per_step=4, seed=seed)

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
    one = plan_of([stage_of([60, 60])], sizes=[size, size], seed=seed)
    other = replace(one, seed=seed + further)
    assert np.array_equal(one.look_up(whole(one)).sources, other.look_up(whole(one)).sources)
    for name in ("s0", "s1"):
        assert orders_of(one)[name] != orders_of(other)[name]
