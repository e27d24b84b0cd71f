"""Only what others dominate is stopped before its end, by either rule."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.sweep.early_stopping import Measured, fitted_end, halved, outrun

EIGHTHS = [number / 8 for number in range(1, 9)]
LEVELS = st.floats(0.0, 1.0)


def trial(name: str, uptake: float, forgetting: float, *, points: int = 4) -> Measured:
    """One whose curves are flat."""
    return Measured(setting=name, shares=EIGHTHS[:points], uptake=[uptake] * points, forgetting=[forgetting] * points)


def falling(name: str, uptake: float, forgetting: float, *, points: int, noise: float = 0.0, seed: int = 0) -> Measured:
    """One that comes to its end along power laws."""
    pick, shares = np.random.default_rng(seed), np.array(EIGHTHS[:points])
    shape = 1.2 - 0.2 * shares**-0.5
    return Measured(
        setting=name,
        shares=EIGHTHS[:points],
        uptake=(uptake * shape + pick.normal(0, noise, points)).tolist(),
        forgetting=(forgetting * shape + pick.normal(0, noise, points)).tolist(),
    )


@given(levels=st.lists(st.tuples(LEVELS, LEVELS), min_size=1, max_size=12))
def test_halving_stops_dominated_trials_only_and_no_more_than_half(levels: list[tuple[float, float]]) -> None:
    trials = {str(number): trial(str(number), *level, points=2) for number, level in enumerate(levels)}
    doomed = halved(trials, from_share=0.25, keep_share=0.5)
    assert len(doomed) <= len(trials) // 2
    for one in doomed:
        uptake, forgetting = levels[int(one.trial_id)]
        assert any(u >= uptake and f <= forgetting and (u, f) != (uptake, forgetting) for u, f in levels)


def test_halving_waits_for_the_first_rung_and_for_others_to_compare_with() -> None:
    two = {"best": trial("best", 0.9, 0.0), "worst": trial("worst", 0.1, 0.5)}
    assert halved(two, from_share=0.25, keep_share=0.5) == []
    early = {name: trial(name, level, 1 - level, points=1) for name, level in (("a", 0.1), ("b", 0.5), ("c", 0.9))}
    assert halved(early, from_share=0.25, keep_share=0.5) == []


def test_halving_says_at_which_rung_and_how_many_were_above() -> None:
    trials = {name: trial(name, level, 1 - level, points=2) for name, level in (("a", 0.1), ("b", 0.5), ("c", 0.9))}
    (doomed,) = halved(trials, from_share=0.25, keep_share=0.5)
    assert (doomed.trial_id, doomed.share) == ("a", 0.25)
    assert doomed.reason == "at 25% of its steps 2 of 3 trials had more uptake and less forgetting"


def test_a_trial_that_has_passed_its_rung_is_not_judged_there_any_more() -> None:
    trials = {name: trial(name, level, 1 - level, points=5) for name, level in (("a", 0.1), ("b", 0.5), ("c", 0.9))}
    assert [one.share for one in halved(trials, from_share=0.25, keep_share=0.5)] == [0.5]


def test_seeds_of_one_setting_are_not_held_against_each_other() -> None:
    seeds = {str(seed): trial("same", level, 1 - level) for seed, level in enumerate((0.1, 0.5, 0.9))}
    assert halved(seeds, from_share=0.25, keep_share=0.5) == []
    assert outrun(seeds, from_share=0.25) == []


@pytest.mark.parametrize("exponent", [0.2, 0.5, 1.0])
def test_the_end_of_a_power_law_is_foretold(exponent: float) -> None:
    shares = np.array(EIGHTHS[:6])
    end, half = fitted_end(shares.tolist(), (0.4 - 0.1 * shares**-exponent).tolist())
    assert end == pytest.approx(0.3, abs=0.005)
    assert half < 0.02


def test_the_interval_of_a_foretold_end_holds_it_nearly_always() -> None:
    shares = np.array(EIGHTHS[:6])
    pick = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        end, half = fitted_end(shares.tolist(), (0.4 - 0.1 * shares**-0.5 + pick.normal(0, 0.003, len(shares))).tolist())
        held += abs(end - 0.3) <= half
    assert held / 300 > 0.8


def test_a_curve_that_will_end_behind_another_is_stopped_and_one_that_may_not_goes_on() -> None:
    trials = {
        "best": falling("best", 0.5, 0.01, points=5, noise=0.001),
        "behind": falling("behind", 0.3, 0.1, points=5, noise=0.001, seed=1),
        "close": falling("close", 0.499, 0.0101, points=5, noise=0.003, seed=2),
        "trades": falling("trades", 0.7, 0.2, points=5, noise=0.001, seed=3),
    }
    (doomed,) = outrun(trials, from_share=0.25)
    assert doomed.trial_id == "behind"
    assert doomed.reason.endswith("behind best") or doomed.reason.endswith("behind close")


def test_a_curve_of_few_points_is_left_alone() -> None:
    trials = {"best": falling("best", 0.5, 0.01, points=3), "behind": falling("behind", 0.1, 0.3, points=3)}
    assert outrun(trials, from_share=0.25) == []
