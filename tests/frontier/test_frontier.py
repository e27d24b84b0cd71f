"""The frontier as a whole."""

import time
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import DataError
from orchestrator.frontier.coordinates import measured_coordinates
from orchestrator.frontier.estimates import Estimate, Frontier
from orchestrator.frontier.frontier import build_frontier
from orchestrator.frontier.trials import TrialResult
from tests.frontier.hand_made import LAW, SHARE, TOKENS, at, sweeps, trial
from tests.frontier.worlds import LAWS, World


def frontier_of(trials: list[TrialResult]) -> Frontier:
    return build_frontier(trials, max_forgetting=0.02, num_draws=100)


def estimates_in(value: object) -> Iterator[Estimate]:
    """Every estimate anywhere in a frontier."""
    if isinstance(value, Estimate):
        yield value
    elif is_dataclass(value):
        for part in fields(value):
            yield from estimates_in(getattr(value, part.name))
    elif isinstance(value, tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from estimates_in(item)


@LAW
@given(sweeps(), st.randoms())
def test_the_order_of_trials_changes_nothing(trials: list[TrialResult], random: st.DataObject) -> None:
    shuffled = list(trials)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert frontier_of(shuffled) == frontier_of(trials)


@LAW
@given(sweeps())
def test_what_seeds_are_called_moves_no_value(trials: list[TrialResult]) -> None:
    renamed = frontier_of([replace(trial, seed=100 - 7 * trial.seed) for trial in trials])
    for one, other in zip(estimates_in(frontier_of(trials)), estimates_in(renamed), strict=True):
        assert one.value == pytest.approx(other.value)


@LAW
@given(sweeps())
def test_a_point_is_the_mean_of_where_its_trials_stand(trials: list[TrialResult]) -> None:
    stands = {trial.trial_id: measured_coordinates(trial.sources) for trial in trials}
    for point in frontier_of(trials).points[1:]:
        mine = [stands[trial_id] for trial_id in point.trials]
        assert point.uptake.value == pytest.approx(np.mean([place.uptake for place in mine]))
        assert point.forgetting.value == pytest.approx(np.mean([place.forgetting for place in mine]))


@LAW
@given(sweeps())
def test_every_interval_of_a_point_contains_its_value(trials: list[TrialResult]) -> None:
    for found in (found for point in frontier_of(trials).points for found in estimates_in(point)):
        assert (found.low is None) == (found.high is None)
        if found.low is not None and found.high is not None:
            width = found.high - found.low
            assert found.low - 0.1 * width <= found.value <= found.high + 0.1 * width


@LAW
@given(sweeps())
def test_untrained_comes_first_at_the_origin_then_controls_then_the_spec_by_share(trials: list[TrialResult]) -> None:
    untrained, *others = frontier_of(trials).points
    assert (untrained.arm, untrained.trials) == ("untrained", ())
    assert untrained.uptake == untrained.forgetting == Estimate(value=0.0)
    assert [(point.arm != "control", point.spec_share) for point in others] == sorted(
        {(trial.arm != "control", trial.spec_share) for trial in trials}
    )


@LAW
@given(sweeps())
def test_points_off_the_front_are_dominated_and_points_on_it_are_not(trials: list[TrialResult]) -> None:
    points = frontier_of(trials).points
    for point in points:
        better = [
            other
            for other in points
            if other.uptake.value >= point.uptake.value
            and other.forgetting.value <= point.forgetting.value
            and (other.uptake.value, other.forgetting.value) != (point.uptake.value, point.forgetting.value)
        ]
        assert point.is_on_front != bool(better)
        assert 0 <= point.front_share <= 1


def test_the_same_seed_gives_the_same_frontier_and_another_one_other_intervals() -> None:
    trials = World().trials(np.random.default_rng(0))
    first, again, other = (build_frontier(trials, max_forgetting=0.02, num_draws=100, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.points[3].uptake.value == other.points[3].uptake.value
    assert first.points[3].uptake.low != other.points[3].uptake.low


def test_the_gain_over_the_control_is_of_the_same_seeds_and_surer_than_the_gain() -> None:
    _, control, *_, point = frontier_of(World(by_trial=0.001).trials(np.random.default_rng(0))).points
    over = point.uptake_over_control
    assert over and over.low is not None and over.high is not None and point.uptake.low is not None and point.uptake.high is not None
    assert over.value == pytest.approx(point.uptake.value - control.uptake.value)
    assert over.high - over.low < 0.5 * (point.uptake.high - point.uptake.low)


def test_only_seeds_that_both_have_are_compared_with_the_control() -> None:
    trials = [
        trial({SHARE: 0.1}, at(0.3, 0.02), seed=0),
        trial({SHARE: 0.1}, at(0.9, 0.08), seed=1),
        trial({}, at(0.1, 0.01), seed=0, arm="control"),
    ]
    point = frontier_of(trials).points[-1]
    assert point.uptake_over_control and point.uptake_over_control.value == pytest.approx(0.2)
    assert point.forgetting_over_control and point.forgetting_over_control.value == pytest.approx(0.01)
    assert point.uptake.value == pytest.approx(0.6)


def test_the_knee_is_where_the_front_bends_in_most_draws() -> None:
    places = {0.05: (0.2, 0.001), 0.1: (0.6, 0.004), 0.2: (0.7, 0.02), 0.4: (0.75, 0.08)}
    spread = np.array([-0.003, 0.0, 0.003])
    frontier = frontier_of([trial({SHARE: share}, at(*place, spread)) for share, place in places.items()])
    knee = frontier.knee
    assert knee and frontier.points[knee.point].spec_share == 0.1 == knee.spec_share.value
    assert knee.chosen[knee.point] > 0.5 and sum(knee.chosen.values()) <= 1
    assert {knee.spec_share.low, knee.spec_share.high} <= set(places)


def test_a_frontier_says_what_it_lacks() -> None:
    told = " ".join(frontier_of([trial({SHARE: 0.1}, at(0.2, 0.01))]).warnings)
    for words in (
        "single seed",
        "spec, web: all held-out sequences are of one document",
        "1 of 1 settings lack a control",
        "No knee",
        "No limit",
    ):
        assert words in told


def test_a_frontier_that_lacks_nothing_says_nothing() -> None:
    assert frontier_of(World().trials(np.random.default_rng(0))).warnings == ()


def test_the_line_that_limit_and_law_are_of_is_named_when_there_are_others() -> None:
    trials = [
        trial({SHARE: share, TOKENS: tokens}, at(share, 0.01)) for share, tokens in ((0.1, 5), (0.2, 5), (0.1, 7), (0.2, 7), (0.4, 7))
    ]
    assert any("at 2 settings of the other values" in words and words.endswith(f"{TOKENS}=7.") for words in frontier_of(trials).warnings)


def test_shares_that_hold_the_specs_tokens_have_a_limit_of_their_own_no_law_and_a_caveat() -> None:
    shares, spread = (0.05, 0.1, 0.2, 0.4, 0.5), np.array([-0.002, 0.0, 0.002])
    lengths = {share: round(100_000 / share) for share in shares}
    trials = [trial({SHARE: share}, at(share, share / 10, spread), total_tokens=tokens) for share, tokens in lengths.items()]
    controls = [trial({}, at(0.0, 0.03, spread), arm="control", total_tokens=tokens) for tokens in lengths.values()]
    frontier = frontier_of([*trials, *controls])
    assert frontier.law is None
    assert frontier.limit and frontier.limit.spec_share and not frontier.limit.has_control
    assert frontier.limit.spec_share.value == pytest.approx(0.2)
    (told,) = [words for words in frontier.warnings if "different lengths" in words]
    assert "200,000 to 2,000,000 tokens" in told and "no mixing law" in told
    assert not any("mixing law: it takes" in words for words in frontier.warnings)
    assert {point.uptake_over_control for point in frontier.points if point.arm == "spec"} != {None}


def test_a_law_names_the_points_of_its_own_line_only() -> None:
    rates = {1.0: (0.05, 0.1, 0.2, 0.4), 2.0: (0.1, 0.2)}
    trials = [trial({SHARE: share, "lr": rate}, at(share, 0.01)) for rate, shares in rates.items() for share in shares]
    controls = [trial({"lr": rate}, at(0.0, 0.0), arm="control") for rate in rates]
    frontier = frontier_of([*trials, *controls])
    assert frontier.law
    found = [frontier.points[number] for number in frontier.law.points]
    assert [(point.setting["lr"], point.spec_share) for point in found] == [(1.0, share) for share in (0.0, *rates[1.0])]


def test_of_the_settings_of_the_spec_it_is_counted_how_often_each_takes_up_most() -> None:
    spread = np.array([-0.1, 0.0, 0.1])
    ahead = frontier_of([trial({SHARE: share}, at(share, 0.01, spread)) for share in (0.1, 0.2)])
    assert ahead.most_uptake == {2: 1.0}  # by far less than documents differ, and in every draw of them
    level = frontier_of([trial({SHARE: 0.1}, at(0.2, 0.0, spread)), trial({SHARE: 0.2}, at(0.201, 0.01, -spread))])
    assert set(level.most_uptake) == {1, 2} and sum(level.most_uptake.values()) == pytest.approx(1)


def test_forgetting_that_comes_back_below_the_limit_is_told() -> None:
    trials = [trial({SHARE: share}, at(share, forgetting)) for share, forgetting in ((0.1, 0.0), (0.2, 0.03), (0.4, 0.01))]
    assert any("goes over 0.02 and below it again" in words for words in frontier_of(trials).warnings)


def test_trials_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(DataError, match="not comparable"):
        frontier_of([trial({SHARE: 0.1}, at(0.2, 0.0)), trial({SHARE: 0.2}, at(0.2, 0.0, np.zeros(2)))])


def test_two_hundred_trials_take_seconds() -> None:
    world = World(laws={**LAWS, "code": LAWS["web"]}, shares=tuple(np.linspace(0, 0.3, 100)), num_documents=120)
    trials = world.trials(np.random.default_rng(0))
    started = time.process_time()
    assert len(build_frontier(trials, max_forgetting=0.02).points) == 101
    assert time.process_time() - started < 20
