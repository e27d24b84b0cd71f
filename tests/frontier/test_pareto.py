"""The Pareto set and its knee."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from orchestrator.frontier.pareto import find_knees, pareto_set
from orchestrator.frontier.trials import Floats
from tests.frontier.hand_made import LAW

COARSE = st.integers(-3, 3).map(float)  # so that ties are common
PLACES = st.integers(1, 8).flatmap(lambda num: arrays(np.float64, (2, 3, num), elements=COARSE))


def dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] >= other[0] and one[1] <= other[1] and one != other


@LAW
@given(PLACES)
def test_a_point_is_in_the_set_when_no_other_dominates_it_and_only_then(places: Floats) -> None:
    for row, flags in enumerate(pareto_set(*places)):
        points = list(zip(*places[:, row].tolist(), strict=True))
        assert flags.tolist() == [not any(dominates(other, point) for other in points) for point in points]


@LAW
@given(PLACES)
def test_points_at_the_same_place_are_in_the_set_together_or_not_at_all(places: Floats) -> None:
    twice = np.concatenate([places, places], axis=2)
    assert np.array_equal(pareto_set(*twice), np.tile(pareto_set(*places), 2))


@LAW
@given(PLACES)
def test_every_row_has_a_set_and_the_largest_uptake_and_the_least_forgetting_are_in_it(places: Floats) -> None:
    uptake, forgetting = places
    on_front = pareto_set(uptake, forgetting)
    assert (np.where(on_front, uptake, -9).max(axis=1) == uptake.max(axis=1)).all()
    assert (np.where(on_front, forgetting, 9).min(axis=1) == forgetting.min(axis=1)).all()


def knee_of(uptake: list[float], forgetting: list[float]) -> int:
    places = np.array([uptake]), np.array([forgetting])
    return int(find_knees(*places, pareto_set(*places))[0])


@pytest.mark.parametrize(
    ("uptake", "forgetting", "knee"),
    [
        ([0, 0.5, 0.9, 1], [0, 0.1, 0.3, 1], 2),
        ([0, 50, 90, 100], [0, 0.001, 0.003, 0.01], 2),  # the same in other units
        ([0, 0.5, 0.9, 1, 0.2], [0, 0.1, 0.3, 1, 0.9], 2),  # a point that is dominated does not count
        ([0, 0.5, 1], [0, 0.5, 1], -1),  # on the line
        ([0, 0.2, 1], [0, 0.5, 1], -1),  # below it
        ([0, 1], [0, 1], -1),
        ([0, 0, 1], [0, 0, 1], -1),  # two places only
        ([1], [0], -1),
    ],
)
def test_the_knee_is_the_point_of_the_front_that_is_farthest_above_the_line_between_its_ends(
    uptake: list[float], forgetting: list[float], knee: int
) -> None:
    assert knee_of(uptake, forgetting) == knee


@LAW
@given(PLACES)
def test_a_knee_is_on_the_front_and_not_at_its_ends(places: Floats) -> None:
    uptake, forgetting = places
    on_front = pareto_set(uptake, forgetting)
    for row, knee in enumerate(find_knees(uptake, forgetting, on_front)):
        if knee >= 0:
            assert on_front[row, knee]
            front = uptake[row][on_front[row]]
            assert front.min() < uptake[row, knee] < front.max()
