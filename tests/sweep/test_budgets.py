"""Share x tokens = epochs x unique tokens: whatever is varied and whatever is held."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import ConfigError
from orchestrator.sweep.budgets import Asked, Budget, Configured, Hold, solve

STEP = 1000
RUN = Configured(total_tokens=1_000_000, spec_share=0.1, tokens_per_step=STEP, unique_spec_tokens=100_000, prepared_spec_tokens=100_000)
SHARES = st.floats(0.01, 1.0)
TOTALS = st.integers(100_000, 10_000_000)


def asked(**changes: object) -> Asked:
    return Asked(**{"total_tokens": 1_000_000, "tokens_per_step": STEP, "spec_share": 0.1, **changes})  # type: ignore[arg-type]


def epochs(budget: Budget) -> float:
    assert budget.spec_share is not None
    return budget.spec_share * budget.total_tokens / (budget.unique_spec_tokens or RUN.unique_spec_tokens)


@given(share=SHARES, total=TOTALS)
def test_held_total_tokens_stay_as_configured_whatever_the_share(share: float, total: int) -> None:
    budget = solve(asked(spec_share=share, varies_share=True, total_tokens=total), RUN, "total_tokens")
    assert budget == Budget(total_tokens=total, spec_share=share, unique_spec_tokens=None)


@given(share=SHARES, total=TOTALS)
def test_held_spec_tokens_are_those_of_the_configured_share(share: float, total: int) -> None:
    budget = solve(asked(spec_share=share, varies_share=True, total_tokens=total), replace(RUN, total_tokens=total), "spec_tokens")
    assert math.isclose(share * budget.total_tokens, 0.1 * total, abs_tol=1)


@given(share=SHARES, unique=st.integers(1_000, 100_000))
def test_held_epochs_stay_whatever_the_share_and_the_unique_tokens(share: float, unique: int) -> None:
    budget = solve(asked(spec_share=share, varies_share=True, unique_spec_tokens=unique), RUN, "epochs")
    assert math.isclose(epochs(budget), 1.0, rel_tol=1 / (budget.total_tokens * share) + 1e-9)
    assert budget.unique_spec_tokens == unique


@given(share=SHARES, used=st.integers(1_000, 100_000), unique=st.integers(1_000, 100_000))
def test_held_epochs_are_those_that_the_run_makes_of_what_it_uses(share: float, used: int, unique: int) -> None:
    run = replace(RUN, unique_spec_tokens=used)
    budget = solve(asked(spec_share=share, varies_share=True, unique_spec_tokens=unique), run, "epochs")
    assert math.isclose(epochs(budget), 100_000 / used, rel_tol=1 / (budget.total_tokens * share) + 1e-9)


@given(batch=st.integers(1, 64))
def test_held_updates_are_as_many_whatever_the_batch(batch: int) -> None:
    budget = solve(asked(tokens_per_step=batch * STEP), RUN, "updates")
    assert budget.total_tokens // (batch * STEP) == 1_000_000 // STEP


@given(wished=st.floats(0.1, 10.0))
def test_epochs_move_the_share_of_a_held_total(wished: float) -> None:
    budget = solve(asked(spec_epochs=wished, varies_epochs=True), RUN, "total_tokens")
    assert (budget.total_tokens, budget.unique_spec_tokens) == (1_000_000, None)
    assert math.isclose(epochs(budget), wished, rel_tol=1e-9)


@given(share=SHARES, wished=st.floats(0.1, 50.0))
def test_epochs_and_share_together_move_the_unique_tokens(share: float, wished: float) -> None:
    wish = asked(spec_share=share, varies_share=True, spec_epochs=wished, varies_epochs=True)
    if share * 1_000_000 / wished > 100_000 * (1 + 1e-9):
        with pytest.raises(ConfigError, match="are prepared"):
            solve(wish, RUN, "total_tokens")
    else:
        budget = solve(wish, RUN, "total_tokens")
        assert budget.spec_share == share
        assert math.isclose(epochs(budget), wished, rel_tol=0.01 + 1 / (budget.unique_spec_tokens or 100_000))


def test_epochs_move_the_unique_tokens_of_held_spec_tokens() -> None:
    budget = solve(asked(spec_epochs=4.0, varies_epochs=True), RUN, "spec_tokens")
    assert budget == Budget(total_tokens=1_000_000, spec_share=0.1, unique_spec_tokens=25_000)


@pytest.mark.parametrize(
    ("changes", "hold", "message"),
    [
        ({"spec_epochs": 20.0}, "total_tokens", r"more than the 1,000,000 of the whole run\. Lower the epochs to 10"),
        ({"spec_epochs": 2.0, "varies_share": True, "unique_spec_tokens": 50}, "total_tokens", "two of them give the third"),
        ({"spec_epochs": 2.0, "varies_epochs": True}, "epochs", "holds what sweep.spec_epochs varies"),
        ({"spec_epochs": 2.0, "unique_spec_tokens": 50}, "spec_tokens", "Leave one out"),
        ({"spec_epochs": 0.5}, "spec_tokens", "Raise sweep.spec_epochs 2 times"),
        ({"total_tokens": 2_000_000}, "spec_tokens", r"total_tokens=2,000,000, where the run has 1,000,000.*Vary mixture\.spec_share"),
        ({"total_tokens": 2_000_000}, "epochs", "sweep.hold=epochs the total follows"),
        ({"spec_share": 0.0, "varies_share": True}, "spec_tokens", "no length"),
        ({"spec_share": None}, "epochs", "follows from mixture.spec_share"),
    ],
)
def test_what_cannot_be_is_said_with_what_would(changes: dict[str, object], hold: Hold, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        solve(asked(**changes), RUN, hold)
