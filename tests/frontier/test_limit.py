"""The largest spec share for no more than so much forgetting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.frontier.estimates import Limit
from orchestrator.frontier.frontier import build_frontier
from orchestrator.frontier.limit import first_crossings
from tests.frontier.hand_made import LAW, SHARE, at, trial

SPREAD = np.array([-0.01, 0.0, 0.01])


def limit_of(forgetting: dict[float, float], max_forgetting: float) -> Limit:
    trials = [
        trial({SHARE: share} if share else {}, at(share, value, SPREAD), arm="spec" if share else "control")
        for share, value in forgetting.items()
    ]
    limit = build_frontier(trials, max_forgetting=max_forgetting).limit
    assert limit
    return limit


@pytest.mark.parametrize(
    ("forgetting", "expected"),
    [
        ([0.0, 0.01, 0.03], 0.15),  # half-way between the last two
        ([0.0, 0.02, 0.03], 0.1),  # at a point
        ([0.0, 0.03, 0.01], 0.1 * 2 / 3),  # where it first goes over
        ([0.0, 0.01, 0.02], 0.2),  # never
        ([0.03, 0.01, 0.0], None),  # already at the first
    ],
)
def test_the_limit_is_where_straight_lines_between_the_shares_first_go_over_it(forgetting: list[float], expected: float | None) -> None:
    found = first_crossings(np.array([0.0, 0.1, 0.2]), np.array([forgetting]), 0.02)[0]
    assert (None if np.isnan(found) else found) == (expected if expected is None else pytest.approx(expected))


@LAW
@given(st.lists(st.floats(-0.1, 0.1), min_size=2, max_size=6), st.floats(-0.1, 0.1))
def test_more_forgetting_allows_no_smaller_share(forgetting: list[float], limit: float) -> None:
    shares, rows = np.linspace(0, 1, len(forgetting)), np.array([forgetting])
    less, more = (np.nan_to_num(first_crossings(shares, rows, value), nan=-1.0)[0] for value in (limit, limit + 0.01))
    assert less <= more + 1e-9


def test_the_limit_has_an_interval_within_the_shares_that_were_tried() -> None:
    limit = limit_of({0.0: 0.0, 0.1: 0.01, 0.2: 0.03}, 0.02)
    assert limit.spec_share and limit.spec_share.low is not None and limit.spec_share.high is not None
    assert limit.spec_share.value == pytest.approx(0.15)
    assert 0 < limit.spec_share.low < 0.15 < limit.spec_share.high <= 0.2
    assert not limit.is_open


def test_a_limit_that_no_share_reaches_is_open() -> None:
    limit = limit_of({0.0: 0.0, 0.1: 0.001}, 0.1)
    assert limit.is_open and limit.spec_share
    assert (limit.spec_share.value, limit.spec_share.low, limit.spec_share.high) == (0.1, 0.1, 0.1)


@pytest.mark.parametrize(("smallest", "has_control"), [(0.05, False), (0.0, True)])
def test_where_the_smallest_share_or_even_the_control_forgets_more_there_is_no_share(smallest: float, has_control: bool) -> None:
    limit = limit_of({smallest: 0.05, 0.1: 0.06}, 0.02)
    assert limit.spec_share is None and not limit.is_open
    assert limit.has_control == has_control
