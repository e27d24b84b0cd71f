"""Mixtures that no plan exists for: who is the culprit, what is the limit, and that each remedy in the message works when it is applied."""

import dataclasses
import re
from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orchestrator.errors import MixtureError
from orchestrator.mixture.apportion import exact
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.planning import make_plan
from orchestrator.mixture.wishes import Ratios, StageWish, Supply
from tests.mixture.mixtures import LAW, shares, supply

LENGTH = 16
RATIO = r"(?:Lower|raise) its ratio to (\d[\d.e-]*\d|\d)"
TOKENS = r"[Tt]rain (?:at least )?([\d,]+) tokens"
CAP = r"raise the cap to (\d[\d.e+]*\d|\d)"
BUDGET = r"Raise it to ([\d,]+)"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a user asks for; the first source is the one that a refusal is about."""

    supplies: tuple[Supply, ...]
    total_tokens: int
    each: int = 1

    def plan(self) -> Plan:
        ratios = Ratios(by_source={supply.name: supply.weight for supply in self.supplies})
        wishes = [StageWish(start=ratios, end=ratios)]
        return make_plan(
            self.supplies, wishes, total_tokens=self.total_tokens, sequence_length=LENGTH, sequences_per_step=self.each, seed=0
        )

    def refusal(self) -> str:
        """Why there is no plan; empty if there is one."""
        try:
            self.plan()
        except MixtureError as error:
            return str(error)
        return ""

    def with_tokens(self, tokens: str) -> "Wish":
        return dataclasses.replace(self, total_tokens=int(tokens.replace(",", "")))

    def with_ratio(self, ratio: str) -> "Wish":
        """The culprit's ratio as written, the others in their old proportions."""
        new, old = exact(float(ratio)), self.supplies[0].weight
        others = [dataclasses.replace(s, weight=s.weight * (1 - new) / (1 - old)) for s in self.supplies[1:]]
        return dataclasses.replace(self, supplies=(dataclasses.replace(self.supplies[0], weight=new), *others))

    def with_cap(self, cap: str) -> "Wish":
        return dataclasses.replace(self, supplies=(dataclasses.replace(self.supplies[0], max_epochs=float(cap)), *self.supplies[1:]))


APPLY = {RATIO: Wish.with_ratio, TOKENS: Wish.with_tokens, BUDGET: Wish.with_tokens, CAP: Wish.with_cap}


def wish(ratio: str, num_sequences: int, *, each: int = 1, role: str = "spec", unique: int = 1 << 50, max_epochs: float = 1.0) -> Wish:
    """One source in question beside a general one that is large enough."""
    culprit = supply("rules", Fraction(ratio), role=role, unique=unique, max_epochs=max_epochs)
    return Wish(supplies=(culprit, supply("web", 1 - Fraction(ratio))), total_tokens=num_sequences * LENGTH, each=each)


CASES = [
    pytest.param(
        wish("0.5", 2, each=3),
        ["mixture.total_tokens=32", "less than one step of 48 tokens", "3 sequences of 16", "training.sequences_per_step"],
        {BUDGET: 48},
        id="budget under one step",
    ),
    pytest.param(
        wish("0.001", 400, each=4),
        ["'rules'", "ratio 0.001", "400 sequences", "rounds to none", "mixture.total_tokens"],
        {TOKENS: 16_000, RATIO: 0.0025},
        id="a spec source rounds to none",
    ),
    pytest.param(
        wish("0.004", 100, role="general"),
        ["'rules'", "ratio 0.004", "100 sequences", "rounds to none", "mixture.total_tokens"],
        {TOKENS: 4_000, RATIO: 0.01},
        id="a general source rounds to none",
    ),
    pytest.param(
        wish("0.2", 1000, unique=40, max_epochs=4.0),
        ["'rules'", "320 unique tokens", "ratio 0.2", "16,000 trained tokens", "5.00 epochs", "mixture.max_epochs.rules=4"],
        {RATIO: 0.16, TOKENS: 12_800, CAP: 5},
        id="more epochs than allowed",
    ),
    pytest.param(
        wish("0.5", 7, role="general", unique=3),
        ["'rules'", "24 unique tokens", "ratio 0.5", "112 trained tokens", "1.33 epochs", "mixture.max_epochs.rules=1"],
        {RATIO: 0.4286, TOKENS: 96, CAP: 1.3333},
        id="more epochs than one",
    ),
]


@pytest.mark.parametrize(("wanted", "said", "remedies"), CASES)
def test_a_refusal_names_culprit_value_and_limit_and_every_remedy_in_it_works(
    wanted: Wish, said: list[str], remedies: dict[str, float]
) -> None:
    message = wanted.refusal()
    for part in said:
        assert part in message
    for pattern, about in remedies.items():
        (value,) = re.findall(pattern, message)
        assert float(value.replace(",", "")) == pytest.approx(about, rel=0.01)
        assert APPLY[pattern](wanted, value).refusal() == ""


@st.composite
def wishes(draw: st.DrawFn) -> Wish:
    """Two to six sources and a budget; of the sources only the first can be at fault."""
    parts, roles = draw(shares(5))
    first = Fraction(draw(st.integers(1, 999_999)), 1_000_000)
    culprit = supply("rules", first, role=draw(st.sampled_from(["spec", "general"])))
    others = [supply(f"s{i}", (1 - first) * part, role=role) for i, (part, role) in enumerate(zip(parts, roles, strict=True))]
    each = draw(st.integers(1, 64))
    return Wish(supplies=(culprit, *others), total_tokens=draw(st.integers(1, 1000)) * each * LENGTH, each=each)


@st.composite
def rare(draw: st.DrawFn) -> Wish:
    """The first source is asked for so little that it is never seen."""
    wanted = draw(wishes())
    wanted = wanted.with_ratio(repr(draw(st.integers(1, 90)) / 100 * LENGTH / wanted.total_tokens))
    assume("rules" in wanted.refusal())
    return wanted


@st.composite
def scarce(draw: st.DrawFn) -> Wish:
    """The first source is asked for more often than it may be."""
    wanted = draw(wishes())
    asked = int(wanted.total_tokens // LENGTH * wanted.supplies[0].weight)
    assume(asked > 1)
    unique = draw(st.integers(1, asked))
    first = dataclasses.replace(
        wanted.supplies[0], unique_sequences=unique, trained_tokens=8 * unique, max_epochs=draw(st.integers(1, 300)) / 100
    )
    wanted = dataclasses.replace(wanted, supplies=(first, *wanted.supplies[1:]))
    assume("rules" in wanted.refusal())
    return wanted


def check_remedy(wanted: Wish, pattern: str) -> None:
    """Where the message offers the remedy, applying it leaves a plan that has a step, and the source is not refused for the same again."""
    message = wanted.refusal()
    complaint = "rounds to none" if "rounds to none" in message else "epochs, over"
    for value in re.findall(pattern, message):
        again = APPLY[pattern](wanted, value).refusal()
        assert not ("'rules'" in again and complaint in again), f"{message}\nApplied, it says: {again}"
        assert "less than one step" not in again, f"{message}\nApplied, it says: {again}"


THREE = Wish(
    supplies=(
        supply("rules", Fraction("0.34"), role="spec"),
        supply("essays", Fraction("0.36"), role="spec"),
        supply("web", Fraction("0.3")),
    ),
    total_tokens=2 * LENGTH,
    each=2,
)


@pytest.mark.parametrize(
    ("wanted", "pattern"),
    [
        pytest.param(THREE, TOKENS, id="a budget that is not a whole number of steps"),
        pytest.param(wish("0.8", 30_000, unique=20_000), RATIO, id="a ratio with more digits than are shown"),
        pytest.param(wish("0.5", 230, unique=100), CAP, id="a cap that is no exact double"),
        pytest.param(wish("0.5", 4, unique=1, max_epochs=0.5), TOKENS, id="a source that may not be trained at all"),
        pytest.param(wish("0.5", 8, each=8, unique=3), TOKENS, id="a source too small for one step"),
        pytest.param(wish("0.9", 10, each=5, unique=5), RATIO, id="a ratio at a half"),
        pytest.param(wish("0.0001", 3000, role="general"), RATIO, id="a ratio of one in three thousand"),
    ],
)
def test_a_remedy_that_is_offered_works_in_spite_of_rounding(wanted: Wish, pattern: str) -> None:
    assert "'rules'" in wanted.refusal()
    check_remedy(wanted, pattern)


@LAW
@given(rare())
def test_training_at_least_the_tokens_said_makes_a_source_seen(wanted: Wish) -> None:
    check_remedy(wanted, TOKENS)


@LAW
@given(rare())
def test_raising_the_ratio_to_the_one_said_makes_a_source_seen(wanted: Wish) -> None:
    check_remedy(wanted, RATIO)


@LAW
@given(scarce())
def test_training_the_tokens_said_keeps_a_source_within_its_epochs(wanted: Wish) -> None:
    check_remedy(wanted, TOKENS)


@LAW
@given(scarce())
def test_lowering_the_ratio_to_the_one_said_keeps_a_source_within_its_epochs(wanted: Wish) -> None:
    check_remedy(wanted, RATIO)


@LAW
@given(scarce())
def test_raising_the_cap_to_the_one_said_allows_the_epochs(wanted: Wish) -> None:
    check_remedy(wanted, CAP)


@pytest.mark.parametrize(
    ("cap", "unique", "allowed"),
    [(1.0, 100, 100), (4.0, 25, 100), (0.5, 100, 50), (1.1, 10, 11), (1.15, 100, 115), (0.29, 100, 29), (2.3, 10, 23), (1.5, 3, 4)],
)
def test_a_cap_on_epochs_allows_what_it_says_and_not_one_sequence_more(cap: float, unique: int, allowed: int) -> None:
    at_the_cap = wish("0.5", 2 * allowed, unique=unique, max_epochs=cap)
    assert at_the_cap.refusal() == ""
    assert f"over mixture.max_epochs.rules={cap:g}" in dataclasses.replace(at_the_cap, total_tokens=(2 * allowed + 2) * LENGTH).refusal()


def test_a_budget_is_cut_to_whole_steps_and_the_plan_shows_what_is_left() -> None:
    plan = dataclasses.replace(wish("0.5", 10, each=4), total_tokens=12 * LENGTH - 1).plan()
    assert (plan.steps, plan.tokens) == (2, 8 * LENGTH)


def test_a_budget_under_one_sequence_is_not_told_that_a_smaller_batch_would_help() -> None:
    message = dataclasses.replace(wish("0.5", 1, each=4), total_tokens=LENGTH - 1).refusal()
    assert "less than one step of 64 tokens" in message
    assert "lower training.sequences_per_step" not in message


def test_the_first_source_at_fault_is_named_and_no_other() -> None:
    good, bad = supply("good", Fraction(1, 2)), supply("bad", Fraction(1, 2), unique=1)
    message = Wish(supplies=(good, bad), total_tokens=100 * LENGTH).refusal()
    assert message.startswith("source 'bad'")
    assert "good" not in message
