"""Stages, counts and ratios that contradict each other or the run: the message names the key, the values and what works instead."""

import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest

from orchestrator.errors import MixtureError
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.planning import make_plan
from orchestrator.mixture.wishes import Ratios, StageWish, Supply
from tests.mixture.mixtures import supply, wish

EACH = 10
STEP = 8 * EACH  # tokens
SPEC, WEB = supply("spec", role="spec"), supply("web")
A, B, C = (f"mixture.stages[{number}]" for number in range(3))


def planned(wishes: list[StageWish], *, steps: int = 20, supplies: list[Supply] | None = None, total_tokens: int | None = None) -> Plan:
    return make_plan(
        supplies or [SPEC, WEB], wishes, total_tokens=total_tokens or steps * STEP, sequence_length=8, sequences_per_step=EACH, seed=0
    )


def refusal(make: Callable[[], Plan]) -> str:
    with pytest.raises(MixtureError) as caught:
        make()
    return str(caught.value)


def number_in(message: str, pattern: str) -> int:
    (found,) = re.findall(pattern, message)
    return int(found.replace(",", ""))


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([8, 15], "mixture.stages have 23 steps, and 20 are to be divided"),
        ([8, 8], "mixture.stages have 16 steps, and 20 are to be divided"),
        ([8, 12, None], "mixture.stages have 20 steps and one more at least, and 20 are to be divided"),
    ],
)
def test_stages_that_do_not_fit_the_run_are_told_the_budget_that_they_fit(steps: list[int | None], said: str) -> None:
    stages = [wish(0.1, steps=length, key=key) for length, key in zip(steps, (A, B, C), strict=False)]
    message = refusal(lambda: planned(stages))
    assert said in message
    assert planned(stages, total_tokens=number_in(message, r"mixture\.total_tokens=([\d,]+)")).steps == sum(step or 1 for step in steps)


def test_stages_that_are_too_long_are_told_by_how_much() -> None:
    stages = [wish(0.1, steps=8, key=A), wish(0.2, steps=15, key=B)]
    shorter = number_in(refusal(lambda: planned(stages)), r"shorten them by ([\d,]+) steps")
    assert planned([stages[0], replace(stages[1], steps=15 - shorter)]).steps == 20


def test_stages_that_leave_steps_over_are_told_to_leave_a_length_out() -> None:
    stages = [wish(0.1, steps=8, key=A), wish(0.2, steps=8, key=B)]
    assert "leave out the length of one stage" in refusal(lambda: planned(stages))
    assert [stage.steps for stage in planned([stages[0], replace(stages[1], steps=None)]).stages] == [8, 12]


def test_two_stages_without_a_length_are_refused() -> None:
    message = refusal(lambda: planned([wish(0.1, key=A), wish(0.2, key=B), wish(0.2, steps=2, key=C)]))
    assert message == "2 of mixture.stages have no length. Give all but one of them steps or tokens."


def test_a_stage_shorter_than_a_step_is_told_both_its_remedies() -> None:
    stages = [wish(0.2, tokens=STEP - 1, key=A), wish(0.2, key=B)]
    message = refusal(lambda: planned(stages))
    assert f"{A}.tokens=79 is less than one step of 80 tokens" in message
    tokens = number_in(message, r"step of ([\d,]+) tokens")
    assert planned([replace(stages[0], tokens=tokens), stages[1]]).stages[0].steps == 1
    steps = number_in(message, rf"{re.escape(A)}\.steps=(\d+)")
    assert planned([replace(stages[0], tokens=None, steps=steps), stages[1]]).stages[0].steps == 1


def test_the_tokens_of_a_stage_are_cut_to_whole_steps() -> None:
    assert [stage.steps for stage in planned([wish(0.1, tokens=3 * STEP - 1, key=A), wish(0.1, key=B)]).stages] == [2, 18]


def test_a_source_that_a_stage_never_sees_is_named_with_the_stage_and_the_tokens_that_show_it() -> None:
    stages = [wish(0.2, steps=10, key=A), wish(0.002, steps=5, key=B), wish(0.2, key=C)]
    message = refusal(lambda: planned(stages, steps=500))
    assert "source 'spec': ratio 0.002 of 50 sequences rounds to none" in message
    assert f"({B}.tokens)" in message
    tokens = number_in(message, r"Train at least ([\d,]+) tokens")
    assert planned([stages[0], replace(stages[1], steps=None, tokens=tokens), stages[2]], steps=500).stages[1].steps == tokens // STEP
    (ratio,) = re.findall(r"raise its ratio to (\S+)\.$", message)
    dial = Ratios(spec_share=Fraction(ratio))
    assert planned([stages[0], replace(stages[1], start=dial, end=dial), stages[2]], steps=500).steps == 500


def test_a_source_of_a_ramp_that_comes_to_nothing_is_refused() -> None:
    assert "ratio 0.001 of 200 sequences rounds to none" in refusal(lambda: planned([wish(0.0, 0.002)]))
    assert planned([wish(0.0, 0.02)]).sequences[0] == 2


def test_a_count_of_less_than_a_sequence_is_refused_and_a_sequence_is_not() -> None:
    message = refusal(lambda: planned([wish(source_tokens={"spec": 7})]))
    assert "source 'spec': what mixture gives it in tokens or epochs is less than one sequence of 8 tokens" in message
    assert planned([wish(source_tokens={"spec": number_in(message, r"Raise it to ([\d,]+) tokens")})]).sequences[0] == 1


def test_counts_over_a_stage_are_told_who_has_most_and_what_fits() -> None:
    big = supply("web", unique=150)
    message = refusal(lambda: planned([wish(source_tokens={"spec": 800}, source_epochs={"web": 1.0})], supplies=[SPEC, big]))
    assert "need 250 sequences, over the 200 of the stage" in message
    tokens = number_in(message, r"Lower 'web' to ([\d,]+) tokens")
    assert planned([wish(source_tokens={"spec": 800, "web": tokens})], supplies=[SPEC, big]).sequences == [100, 100]
    (epochs,) = re.findall(r"\((\S+) epochs\)", message)
    rest = supply("rest")
    fits = [wish(source_tokens={"spec": 792}, source_epochs={"web": float(epochs)})]
    assert planned(fits, supplies=[SPEC, big, rest]).sequences[1] == int(float(epochs) * 150)
    longer = number_in(message, r"longer by ([\d,]+) sequences")
    assert (
        planned([wish(source_tokens={"spec": 800}, source_epochs={"web": 1.0})], steps=20 + longer // EACH, supplies=[SPEC, big]).steps
        == 25
    )


def test_counts_that_no_single_source_could_give_way_for_offer_only_a_longer_stage() -> None:
    message = refusal(lambda: planned([wish(source_tokens={"spec": 3200, "web": 3200})]))
    assert "need 800 sequences, over the 200 of the stage. Make the stage longer by 600 sequences." in message


def test_counts_of_all_sources_that_leave_sequences_over_are_refused() -> None:
    message = refusal(lambda: planned([wish(source_tokens={"spec": 400, "web": 400})]))
    assert "sources given as tokens or epochs leave 100 sequences to nobody" in message
    assert (
        planned([wish(source_tokens={"spec": 400, "web": 400})], steps=20 - number_in(message, r"train (\d+) sequences less") // EACH).steps
        == 10
    )
    assert planned([wish(source_tokens={"spec": 400})]).sequences == [50, 150]


def test_counts_that_leave_nothing_to_a_source_by_weight_are_refused_and_a_weight_of_nothing_is_not() -> None:
    stage = [wish(source_tokens={"spec": 1600})]
    message = refusal(lambda: planned(stage))
    assert "take all sequences of the stage and leave none to 'web'" in message
    assert "sources.web.weight=0" in message
    assert planned(stage, supplies=[SPEC, replace(WEB, weight=Fraction(0))]).sequences == [200, 0]


def test_the_dial_and_counts_of_a_whole_side_say_the_same_thing_twice() -> None:
    message = refusal(lambda: planned([wish(0.1, source_epochs={"spec": 1.0})], supplies=[supply("spec", role="spec", unique=30), WEB]))
    assert "spec_share and tokens or epochs of all sources with role spec say the same thing twice" in message
    assert "Set spec_share to null" in message
    assert planned([wish(source_epochs={"spec": 1.0})], supplies=[supply("spec", role="spec", unique=30), WEB]).sequences[0] == 30


@pytest.mark.parametrize(("count", "train", "of"), [(480, 480, 320), (400, 400, 320)])
def test_a_count_over_its_sides_share_is_refused_with_both_numbers(count: int, train: int, of: int) -> None:
    supplies = [SPEC, supply("rules", role="spec"), WEB]
    message = refusal(lambda: planned([wish(0.2, source_tokens={"spec": count})], supplies=supplies))
    assert f"role spec given as tokens or epochs train {train:,} tokens, and spec_share=0.2 is {of:,}" in message
    assert planned([wish(0.2, source_tokens={"spec": of - 8})], supplies=supplies).sequences == [39, 1, 160]
    assert "spec_share" in refusal(lambda: planned([wish(0.2, source_tokens={"spec": of})], supplies=supplies))


def test_a_cap_in_a_plan_of_stages_says_by_how_many_tokens_it_is_passed_and_the_cap_that_allows_it() -> None:
    supplies = [supply("spec", role="spec", unique=20), WEB]
    stages = [wish(0.1, 0.3, steps=10, key=A), wish(0.1, key=B)]
    message = refusal(lambda: planned(stages, supplies=supplies))
    assert "source 'spec' has 160 unique tokens; the plan needs 1.50 epochs, over mixture.max_epochs.spec=1" in message
    assert number_in(message, r"by ([\d,]+) tokens") == 80
    (cap,) = re.findall(r"raise the cap to (\S+)\.$", message)
    assert planned(stages, supplies=[replace(supplies[0], max_epochs=float(cap)), WEB]).sequences[0] == 30
