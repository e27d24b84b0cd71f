"""What doubling the spec's epochs does, apart from its share."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.frontier.estimates import Repetition
from orchestrator.frontier.frontier import build_frontier
from orchestrator.frontier.trials import TrialResult
from tests.frontier.hand_made import LAW, SHARE, TOKENS, UNIQUE, at, trial

SPREAD = np.array([-0.02, 0.0, 0.02])


def repeated(share: float, epochs: float, uptake: float, forgetting: float, *, tokens: int = 1, seed: int = 0) -> TrialResult:
    setting = {SHARE: share, UNIQUE: round(1000 * share / epochs), TOKENS: tokens}
    return trial(setting, at(uptake, forgetting, SPREAD), epochs=epochs, seed=seed)


def repetition_of(trials: list[TrialResult]) -> Repetition:
    found = build_frontier(trials, max_forgetting=0.02, num_draws=200).repetition
    assert found
    return found


def test_the_slope_is_that_within_equal_shares_whatever_the_share_does() -> None:
    found = repetition_of(
        [
            repeated(share, epochs, share - 0.01 * np.log2(epochs), 0.1 * share + 0.002 * np.log2(epochs))
            for share in (0.1, 0.2)
            for epochs in (1, 2, 4)
        ]
    )
    assert found.uptake_per_doubling and found.forgetting_per_doubling
    assert found.uptake_per_doubling.value == pytest.approx(-0.01)
    assert found.forgetting_per_doubling.value == pytest.approx(0.002)
    assert found.warnings == ()


def test_epochs_and_unique_tokens_that_both_move_the_share_are_compared_where_it_is_the_same() -> None:
    grid = [(epochs, unique) for epochs in (1, 2, 4) for unique in (50_000, 100_000, 200_000)]
    trials = [
        replace(
            trial({"sweep.spec_epochs": epochs, UNIQUE: unique}, at(share - 0.01 * np.log2(epochs), 0.002 * np.log2(epochs), SPREAD)),
            spec_share=share,
            spec_epochs=float(epochs),
        )
        for epochs, unique in grid
        for share in (epochs * unique / 1_000_000,)
    ]
    found = repetition_of(trials)
    assert found.uptake_per_doubling and found.forgetting_per_doubling
    assert found.uptake_per_doubling.value == pytest.approx(-0.01)
    assert found.forgetting_per_doubling.value == pytest.approx(0.002)


@LAW
@given(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2))
def test_the_level_of_a_share_does_not_move_the_slope(one: float, other: float) -> None:
    levels = {0.1: one, 0.2: other}
    found = repetition_of([repeated(share, epochs, level + 0.01 * epochs, 0.0) for share, level in levels.items() for epochs in (1, 2)])
    assert found.uptake_per_doubling and found.uptake_per_doubling.value == pytest.approx(0.01)


def test_documents_that_all_change_alike_leave_no_doubt_and_others_do() -> None:
    trials = [repeated(0.1, epochs, 0.01 * epochs, 0.0, seed=seed) for epochs in (1, 2) for seed in (0, 1)]
    alike = repetition_of(trials).uptake_per_doubling
    noisy = at(0.05, 0.0, np.array([-0.2, 0.0, 0.2]))
    doubtful = repetition_of([*trials[:3], trial(trials[3].setting, noisy, epochs=2, seed=1)]).uptake_per_doubling
    assert alike and doubtful and doubtful.low is not None and doubtful.high is not None
    assert doubtful.high - doubtful.low > 0.05
    assert alike.value == pytest.approx(0.01)
    assert (alike.low, alike.high) == (None, None)


def test_fewer_than_one_pass_repeats_nothing() -> None:
    found = repetition_of([repeated(0.1, epochs, uptake, 0.0) for epochs, uptake in ((0.25, 0.1), (1, 0.1), (2, 0.2))])
    assert found.uptake_per_doubling and found.uptake_per_doubling.value == pytest.approx(0.1)


@pytest.mark.parametrize(
    "trials",
    [
        [repeated(0.1, 1, 0.1, 0.0), repeated(0.2, 2, 0.2, 0.0)],
        [repeated(0.1, 1, 0.1, 0.0), repeated(0.1, 2, 0.2, 0.0, tokens=2)],
        [repeated(0.1, 0.25, 0.1, 0.0), repeated(0.1, 0.5, 0.2, 0.0)],
    ],
    ids=["with the share", "with the tokens", "below one"],
)
def test_epochs_that_never_varied_alone_say_nothing_and_what_to_vary_is_named(trials: list[TrialResult]) -> None:
    found = repetition_of(trials)
    assert (found.uptake_per_doubling, found.forgetting_per_doubling) == (None, None)
    assert UNIQUE in found.warnings[0]


def test_two_numbers_of_epochs_come_with_a_warning() -> None:
    assert "Try a third" in repetition_of([repeated(0.1, epochs, 0.1, 0.0) for epochs in (1, 4)]).warnings[0]
