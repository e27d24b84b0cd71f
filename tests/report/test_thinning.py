"""Long runs fit into a picture without a lie."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.report.thinning import bucket_starts, farthest_of_each, last_of_each, mean_of_each, smooth

VALUES = st.lists(st.floats(-10, 10), min_size=1, max_size=60)
MOST = st.integers(1, 80)


@given(VALUES, MOST)
def test_there_are_as_many_buckets_as_asked_for_and_none_is_empty(values: list[float], most: int) -> None:
    starts = bucket_starts(len(values), most)
    assert len(starts) == min(len(values), most)
    assert (np.diff(np.append(starts, len(values))) >= 1).all()


@given(VALUES, MOST)
def test_no_peak_is_lost_and_the_last_value_stays(values: list[float], most: int) -> None:
    series = np.array(values)
    starts = bucket_starts(len(series), most)
    assert np.abs(farthest_of_each(series, starts)).max() == np.abs(series).max()
    assert last_of_each(series, starts)[-1] == series[-1]


@given(VALUES, MOST)
def test_the_mean_over_all_stays_when_points_are_joined(values: list[float], most: int) -> None:
    series, weights = np.array(values), np.arange(1.0, len(values) + 1)
    starts = bucket_starts(len(series), most)
    joined = mean_of_each(series, weights, starts)
    assert np.isclose(np.average(joined, weights=np.add.reduceat(weights, starts)), np.average(series, weights=weights))


@given(VALUES)
def test_smoothing_over_nothing_changes_nothing(values: list[float]) -> None:
    series = np.array(values)
    np.testing.assert_allclose(smooth(series, np.ones(len(series)), 0), series, atol=1e-9)


def test_smoothing_weighs_neighbours_by_tokens_and_skips_what_was_not_trained() -> None:
    values, tokens = np.array([1.0, np.nan, 4.0]), np.array([3.0, 0.0, 1.0])
    np.testing.assert_allclose(smooth(values, tokens, 1), [1.0, 1.75, 4.0])


def test_a_bucket_that_trained_nothing_has_no_mean() -> None:
    means = mean_of_each(np.array([2.0, np.nan, np.nan]), np.array([1.0, 0.0, 0.0]), np.array([0, 1]))
    assert means[0] == 2.0
    assert np.isnan(means[1])
