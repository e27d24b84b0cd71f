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
from orchestrator.mixture.wishes import Ratios, Supply
from tests.mixture.mixtures import LAW, shares, wish
from tests.mixture.mixtures import supply as any_supply

LENGTH = 16
RATIO = r"(?:Lower|raise) its ratio to (\d[\d.e-]*\d|\d)"
TOKENS = r"[Tt]rain (?:at least )?([\d,]+) tokens"
CAP = r"raise the cap to (\d[\d.e+]*\d|\d)"
BUDGET = r"Raise it to ([\d,]+)"


def supply(name: str, *, role: str = "general", unique: int = 1 << 50, max_epochs: float = 1.0, tokens: int = LENGTH) -> Supply:
    return any_supply(name, role=role, unique=unique, max_epochs=max_epochs, tokens=tokens)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a user asks for: sources and their shares of the trained tokens. The first source is the one that a refusal is about."""

    supplies: tuple[Supply, ...]
    ratios: tuple[Fraction, ...]
    total_tokens: int
    each: int = 1

    def plan(self) -> Plan:
        by_source = {supply.name: ratio for supply, ratio in zip(self.supplies, self.ratios, strict=True)}
        return make_plan(
            self.supplies,
            [wish(Ratios(by_source=by_source))],
            total_tokens=self.total_tokens,
            sequence_length=LENGTH,
            sequences_per_step=self.each,
            seed=0,
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
        new, old = exact(float(ratio)), self.ratios[0]
        return dataclasses.replace(self, ratios=(new, *(other * (1 - new) / (1 - old) for other in self.ratios[1:])))

    def with_cap(self, cap: str) -> "Wish":
        return dataclasses.replace(self, supplies=(dataclasses.replace(self.supplies[0], max_epochs=float(cap)), *self.supplies[1:]))


APPLY = {RATIO: Wish.with_ratio, TOKENS: Wish.with_tokens, BUDGET: Wish.with_tokens, CAP: Wish.with_cap}


def asked(
    ratio: str,
    num_sequences: int,
    *,
    each: int = 1,
    role: str = "spec",
    unique: int = 1 << 50,
    max_epochs: float = 1.0,
    tokens: int = LENGTH,
) -> Wish:
    """One source in question beside a general one that is large enough."""
    culprit = supply("rules", role=role, unique=unique, max_epochs=max_epochs, tokens=tokens)
    ratios = (Fraction(ratio), 1 - Fraction(ratio))
    return Wish(supplies=(culprit, supply("web")), ratios=ratios, total_tokens=num_sequences * LENGTH, each=each)


CASES = [
    pytest.param(
        asked("0.5", 2, each=3),
        ["mixture.total_tokens=32", "less than one step of 48 tokens", "3 sequences of 16", "training.sequences_per_step"],
        {BUDGET: 48},
        id="budget under one step",
    ),
    pytest.param(
        asked("0.001", 400, each=4),
        ["'rules'", "ratio 0.001", "400 sequences", "rounds to none", "mixture.total_tokens"],
        {TOKENS: 16_000, RATIO: 0.0025},
        id="a spec source rounds to none",
    ),
    pytest.param(
        asked("0.004", 100, role="general"),
        ["'rules'", "ratio 0.004", "100 sequences", "rounds to none", "mixture.total_tokens"],
        {TOKENS: 4_000, RATIO: 0.01},
        id="a general source rounds to none",
    ),
    pytest.param(
        asked("0.2", 1000, unique=40, max_epochs=4.0),
        ["'rules'", "640 unique tokens", "ratio 0.2", "16,000 trained tokens", "5.00 epochs", "mixture.max_epochs.rules=4"],
        {RATIO: 0.16, TOKENS: 12_800, CAP: 5},
        id="more epochs than allowed",
    ),
    pytest.param(
        asked("0.5", 7, role="general", unique=3),
        ["'rules'", "48 unique tokens", "ratio 0.5", "112 trained tokens", "1.33 epochs", "mixture.max_epochs.rules=1"],
        {RATIO: 0.4286, TOKENS: 96, CAP: 1.3333},
        id="more epochs than one",
    ),
    pytest.param(
        asked("0.2", 1000, unique=40, max_epochs=4.0, tokens=4),
        ["'rules'", "160 unique tokens", "ratio 0.2", "12.50 epochs", "mixture.max_epochs.rules=4"],
        {RATIO: 0.0454, TOKENS: 5_120, CAP: 12.5},
        id="more epochs than allowed of a source with a loss on a quarter of its tokens",
    ),
    pytest.param(
        asked("0.0005", 400, each=4, tokens=8),
        ["'rules'", "ratio 0.0005", "400 sequences", "rounds to none"],
        {TOKENS: 16_064, RATIO: 0.001252},
        id="a source with a loss on half of its tokens rounds to none",
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
    densities = st.sampled_from([LENGTH, LENGTH, LENGTH // 2])
    culprit = supply("rules", role=draw(st.sampled_from(["spec", "general"])), tokens=draw(densities))
    others = [supply(f"s{i}", role=role, tokens=draw(densities)) for i, role in enumerate(roles)]
    each = draw(st.integers(1, 64))
    return Wish(
        supplies=(culprit, *others),
        ratios=(first, *((1 - first) * part for part in parts)),
        total_tokens=draw(st.integers(1, 1000)) * each * LENGTH,
        each=each,
    )


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
    count = int(wanted.total_tokens // LENGTH * wanted.ratios[0])
    assume(count > 1)
    first, unique = wanted.supplies[0], draw(st.integers(1, count))
    tokens = int(first.tokens_per_sequence) * unique
    first = dataclasses.replace(first, unique_sequences=unique, trained_tokens=tokens, max_epochs=draw(st.integers(1, 300)) / 100)
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
    supplies=(supply("rules", role="spec"), supply("essays", role="spec"), supply("web")),
    ratios=(Fraction("0.3"), Fraction("0.4"), Fraction("0.3")),
    total_tokens=2 * LENGTH,
    each=2,
)


@pytest.mark.parametrize(
    ("wanted", "pattern"),
    [
        pytest.param(THREE, TOKENS, id="a budget that is not a whole number of steps"),
        pytest.param(asked("0.8", 30_000, unique=20_000), RATIO, id="a ratio with more digits than are shown"),
        pytest.param(asked("0.5", 230, unique=100), CAP, id="a cap that is no exact double"),
        pytest.param(asked("0.5", 4, unique=1, max_epochs=0.5), TOKENS, id="a source that may not be trained at all"),
        pytest.param(asked("0.5", 8, each=8, unique=3), TOKENS, id="a source too small for one step"),
        pytest.param(asked("0.9", 10, each=5, unique=5), RATIO, id="a ratio at a half"),
        pytest.param(asked("0.0001", 3000, role="general"), RATIO, id="a ratio of one in three thousand"),
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
    at_the_cap = asked("0.5", 2 * allowed, unique=unique, max_epochs=cap)
    assert at_the_cap.refusal() == ""
    assert f"over mixture.max_epochs.rules={cap:g}" in dataclasses.replace(at_the_cap, total_tokens=(2 * allowed + 2) * LENGTH).refusal()


def test_a_budget_is_cut_to_whole_steps_and_the_plan_shows_what_is_left() -> None:
    plan = dataclasses.replace(asked("0.5", 10, each=4), total_tokens=12 * LENGTH - 1).plan()
    assert (plan.steps, plan.tokens) == (2, 8 * LENGTH)


def test_a_budget_under_one_sequence_is_not_told_that_a_smaller_batch_would_help() -> None:
    message = dataclasses.replace(asked("0.5", 1, each=4), total_tokens=LENGTH - 1).refusal()
    assert "less than one step of 64 tokens" in message
    assert "lower training.sequences_per_step" not in message


def test_the_first_source_at_fault_is_named_and_no_other() -> None:
    half = Fraction(1, 2)
    message = Wish(supplies=(supply("good"), supply("bad", unique=1)), ratios=(half, half), total_tokens=100 * LENGTH).refusal()
    assert message.startswith("source 'bad'")
    assert "good" not in message
