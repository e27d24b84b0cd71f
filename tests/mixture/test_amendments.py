"""A plan that changes from a step on: what was trained stays, and every source goes on where it was."""

from collections import Counter
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import MixtureError
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.planning import amend_plan, amended, make_plan
from orchestrator.mixture.subset import Subset
from orchestrator.mixture.wishes import Ratios, StageWish, Supply
from tests.mixture.accounts import SLACK, off, spec_off, worst
from tests.mixture.mixtures import LAW, rows, subset_of, supply, whole, wish

EACH, STEPS = 6, 40
TOKENS = 8 * EACH * STEPS


def spec(**changes: object) -> Supply:
    return replace(supply("spec", role="spec", unique=50, max_epochs=None), **changes)  # type: ignore[arg-type]


def web(**changes: object) -> Supply:
    return replace(supply("web", unique=60, max_epochs=None), **changes)  # type: ignore[arg-type]


CODE = supply("code", weight=2, unique=40, max_epochs=None)


def first(wishes: list[StageWish] | None = None, seed: int = 0, *, part: Subset | None = None) -> Plan:
    return make_plan(
        [spec(subset=part), web(), CODE],
        wishes or [wish(0.3)],
        total_tokens=TOKENS,
        sequence_length=8,
        sequences_per_step=EACH,
        seed=seed,
        request="r1",
    )


def amend(plan: Plan, supplies: list[Supply], wishes: list[StageWish], from_step: int, *, total_tokens: int = TOKENS) -> Plan:
    new = amend_plan(plan, supplies, wishes, from_step=from_step, total_tokens=total_tokens, request="r2")
    return amended(new, plan, from_step=from_step, at="now", changes=["mixture.spec_share=0.1"])


@st.composite
def amendments(draw: st.DrawFn) -> tuple[list[Supply], list[StageWish], int]:
    """Sources dropped, added, in part, and reweighted; another dial, a ramp, ratios or a count; and the step that they begin at."""
    names = draw(st.sets(st.sampled_from(["web", "code", "new"]), min_size=1))
    others = [
        supply(name, draw(st.integers(1, 3)), unique={"web": 60, "code": 40, "new": 30}[name], max_epochs=None) for name in sorted(names)
    ]
    others = [replace(other, subset=subset_of(7)) if other.name == "new" else other for other in others]
    chosen = draw(st.sampled_from(["dial", "ramp", "ratios", "count", "stages"]))
    wishes = {
        "dial": [wish(draw(st.integers(1, 9)) / 10)],
        "ramp": [wish(0.1, 0.8)],
        "ratios": [wish(ratios({"spec": 1, **{supply.name: supply.weight for supply in others}}))],
        "count": [wish(source_epochs={"spec": 0.1})],
        "stages": [wish(0.5, steps=10, key="a"), wish(0.2, 0.4, key="b")],
    }
    return [spec(), *others], wishes[chosen], draw(st.integers(1, STEPS - 19))


def ratios(parts: dict[str, object]) -> Ratios:
    whole_part = sum(Fraction(str(part)) for part in parts.values())
    return Ratios(by_source={name: Fraction(str(part)) / whole_part for name, part in parts.items()})


@LAW
@given(amendments())
def test_the_order_before_the_step_stays_to_the_sequence(change: tuple[list[Supply], list[StageWish], int]) -> None:
    supplies, wishes, from_step = change
    plan = first()
    new = amend(plan, supplies, wishes, from_step)
    before = whole(plan)[: (from_step - 1) * EACH]
    assert rows(new, before) == rows(plan, before)
    assert (new.steps, new.request) == (STEPS, "r2")


@LAW
@given(amendments())
def test_no_sequence_is_lost_or_repeated_by_the_change(change: tuple[list[Supply], list[StageWish], int]) -> None:
    """Over the whole amended run, every epoch of a source has each sequence once but the last, which has none twice."""
    new = amend(first(), *change)
    sizes = {source.name: source.epoch.sequences for source in new.sources}
    draws: Counter[str] = Counter()
    seen: set[tuple[str, int, int]] = set()
    for name, epoch, position in rows(new):
        assert epoch == draws[name] // sizes[name]
        draws[name] += 1
        assert (name, epoch, position) not in seen
        seen.add((name, epoch, position))


@LAW
@given(amendments(), amendments())
def test_an_amendment_of_an_amendment_keeps_both_orders_before_its_step(
    one: tuple[list[Supply], list[StageWish], int], two: tuple[list[Supply], list[StageWish], int]
) -> None:
    plan = first()
    second = amend(plan, *one)
    third = amend(second, [*two[0], *(s for s in one[0] if s.name == "new" and all(t.name != "new" for t in two[0]))], two[1], two[2])
    before = whole(plan)[: (two[2] - 1) * EACH]
    assert rows(third, before) == rows(second, before)
    kept = whole(plan)[: (min(one[2], two[2]) - 1) * EACH]
    assert rows(third, kept) == rows(plan, kept)
    assert [entry.replaced for entry in third.amendments] == [plan.fingerprint, second.fingerprint]


@LAW
@given(amendments())
def test_shares_are_kept_over_the_change_as_closely_as_within_a_run(change: tuple[list[Supply], list[StageWish], int]) -> None:
    new = amend(first(), *change)
    assert worst(off(new)) < 2
    assert worst(spec_off(new)) <= 1 + SLACK


@LAW
@given(amendments(), st.integers(1, STEPS))
def test_the_fingerprints_at_a_step_are_of_the_plans_that_trained_the_same_up_to_it(
    change: tuple[list[Supply], list[StageWish], int], step: int
) -> None:
    plan = first()
    new = amend(plan, *change)
    expected = {new.fingerprint, plan.fingerprint} if step < change[2] else {new.fingerprint}
    assert new.fingerprints_at(step) == expected


def test_the_fingerprints_of_two_amendments_go_back_as_far_as_the_order_is_the_same() -> None:
    plan = first()
    second = amend(plan, [spec(), web()], [wish(0.5)], 20)
    third = amend(second, [spec(), web()], [wish(0.1)], 30)
    earlier = amend(third, [spec(), web()], [wish(0.2)], 10)
    assert third.fingerprints_at(5) == {third.fingerprint, second.fingerprint, plan.fingerprint}
    assert third.fingerprints_at(25) == {third.fingerprint, second.fingerprint}
    assert third.fingerprints_at(35) == {third.fingerprint}
    assert earlier.fingerprints_at(15) == {earlier.fingerprint}
    assert earlier.fingerprints_at(5) == {earlier.fingerprint, third.fingerprint, second.fingerprint, plan.fingerprint}


def test_sources_keep_their_indices_and_new_ones_come_after_them() -> None:
    new = amend(first(), [supply("more", unique=9, max_epochs=None), web()], [wish()], 20)
    assert [source.name for source in new.sources] == ["spec", "web", "code", "more"]


def test_a_dropped_source_is_not_trained_any_more_by_weights_or_by_ratios() -> None:
    for asked in ([wish(0.3)], [wish(ratios({"spec": 3, "web": 7}))]):
        new = amend(first(), [spec(), web()], asked, 21)
        assert new.sequences_before([40])[0, 2] == new.sequences_before([20])[0, 2] > 0


def test_a_source_that_was_dropped_and_comes_back_goes_on_where_it_was() -> None:
    second = amend(first(), [spec(), web()], [wish(0.3)], 11)
    third = amend(second, [spec(), web(), CODE], [wish(0.3)], 21)
    order = [(epoch, position) for name, epoch, position in rows(third) if name == "code"]
    assert order == [(epoch, position) for name, epoch, position in rows(first()) if name == "code"][: len(order)]


def test_a_run_may_be_made_longer_from_its_end_on_or_shorter() -> None:
    longer = amend(first(), [spec(), web(), CODE], [wish(0.1)], STEPS + 1, total_tokens=2 * TOKENS)
    assert (longer.steps, len(longer.stages)) == (2 * STEPS, 2)
    shorter = amend(first(), [spec(), web(), CODE], [wish(0.1)], 20, total_tokens=TOKENS // 2)
    assert shorter.steps == STEPS // 2


@pytest.mark.parametrize(
    ("from_step", "total_tokens", "remedy"),
    [(0, TOKENS, 40), (41, TOKENS, 40), (42, TOKENS * 2, 41), (21, TOKENS // 2, 20)],
)
def test_a_step_that_cannot_begin_another_mixture_is_refused_with_the_last_that_can(from_step: int, total_tokens: int, remedy: int) -> None:
    supplies = [spec(), web(), CODE]
    with pytest.raises(MixtureError, match=rf"--from-step {from_step} .*{total_tokens:,} are .*Choose 1 to {remedy:,}") as caught:
        amend(first(), supplies, [wish(0.1)], from_step, total_tokens=total_tokens)
    last = int(str(caught.value).split("Choose 1 to ")[1].split(",")[0].rstrip("."))
    assert amend(first(), supplies, [wish(0.1)], last, total_tokens=total_tokens).steps == total_tokens // (8 * EACH)


@pytest.mark.parametrize(
    "changed",
    [web(fingerprint="other"), web(unique_sequences=61), web(trained_tokens=7), web(role="spec")],
)
def test_other_content_or_another_role_under_a_name_that_was_trained_is_refused(changed: Supply) -> None:
    with pytest.raises(MixtureError, match="source 'web' is not what the run has trained: it was general, 60 sequences") as caught:
        amend(first(), [spec(), changed], [wish(0.3)], 20)
    assert "start a new run" in str(caught.value)
    assert amend(first(), [spec(), replace(changed, name="web2"), CODE], [wish(0.3)], 20).steps == STEPS


@pytest.mark.parametrize(("was", "would_be"), [(subset_of(20), subset_of(30)), (subset_of(20), None), (None, subset_of(20))])
def test_another_part_of_a_source_that_was_trained_is_refused_with_the_key_that_says_it(
    was: Subset | None, would_be: Subset | None
) -> None:
    plan, (before, after) = first(part=was), (part.sequences if part else 50 for part in (was, would_be))
    said = rf"mixture\.unique_tokens: the run has used {before} of its 50 sequences of source 'spec'; it would use {after} of its 50"
    with pytest.raises(MixtureError, match=f"{said}.*Put it back, or start a new run"):
        amend(plan, [spec(subset=would_be), web(), CODE], [wish(0.3)], 20)
    assert amend(plan, [spec(subset=was), web(), CODE], [wish(0.3)], 20).steps == STEPS


def test_a_source_that_is_used_in_part_goes_on_where_it_was_after_a_change_and_while_it_is_dropped() -> None:
    plan = first(part=subset_of(20))
    second = amend(plan, [web(), CODE], [wish()], 11)
    third = amend(second, [spec(subset=subset_of(20)), web(), CODE], [wish(0.3)], 21)
    order = [(epoch, position) for name, epoch, position in rows(third) if name == "spec"]
    assert order == [(epoch, position) for name, epoch, position in rows(plan) if name == "spec"][: len(order)]
    assert {epoch for epoch, _ in order} == {0, 1, 2}


def test_stages_that_do_not_fit_the_rest_of_a_run_are_refused_with_the_budget_that_does() -> None:
    stages = [wish(0.3, steps=25, key="mixture.stages[0]"), wish(0.1, steps=5, key="mixture.stages[1]")]
    with pytest.raises(MixtureError, match=r"30 steps, and 21 are to be divided.*Set mixture.total_tokens=2,352, or shorten them by 9"):
        amend(first(), [spec(), web()], stages, 20)
    assert amend(first(), [spec(), web()], stages, 20, total_tokens=2352).steps == 49


def test_passes_that_were_trained_before_are_not_held_against_a_source_that_is_drawn_no_more() -> None:
    thrice = make_plan(
        [replace(spec(), unique_sequences=20, trained_tokens=160, max_epochs=1.0), web()],
        [wish(source_epochs={"spec": 3.0}, steps=20, key="a"), wish(0.0, key="b")],
        total_tokens=TOKENS,
        sequence_length=8,
        sequences_per_step=EACH,
        seed=0,
    )
    done = replace(spec(), unique_sequences=20, trained_tokens=160, max_epochs=1.0)
    assert amend(thrice, [done, web()], [wish(0.0)], 25).sequences[0] == 60
    with pytest.raises(MixtureError, match=r"'spec' has 160 unique tokens; the plan needs 3.* over mixture.max_epochs.spec=1"):
        amend(thrice, [done, web()], [wish(0.1)], 25)
