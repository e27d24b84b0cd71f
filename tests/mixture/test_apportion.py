"""A whole divided so that what is left of every level is the same."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.mixture.apportion import exact, levelled
from tests.mixture.mixtures import LAW

LEVELS = st.lists(st.integers(-(1 << 70), 1 << 70) | st.integers(-3, 9), min_size=1, max_size=40)
TOTALS = st.integers(0, 1 << 75) | st.integers(0, 30)


@LAW
@given(LEVELS, TOTALS)
def test_the_parts_sum_to_the_whole_but_for_less_than_one_a_level(levels: list[int], total: int) -> None:
    parts = levelled(levels, total)
    assert min(parts) >= 0
    assert total <= sum(parts) < total + len(levels)


@LAW
@given(LEVELS, TOTALS)
def test_what_is_left_of_all_levels_with_a_part_is_the_same_and_no_other_was_above_it(levels: list[int], total: int) -> None:
    parts = levelled(levels, total)
    left = {level - part for level, part in zip(levels, parts, strict=True) if part}
    assert len(left) <= 1
    if left:
        assert all(level <= max(left) for level, part in zip(levels, parts, strict=True) if not part)


@LAW
@given(st.lists(st.integers(0, 1 << 70), min_size=1, max_size=40))
def test_levels_that_sum_to_the_whole_are_the_parts(levels: list[int]) -> None:
    assert levelled(levels, sum(levels)) == levels


@pytest.mark.parametrize(
    ("levels", "total", "parts"),
    [
        ([5, 3, 1], 9, [5, 3, 1]),
        ([5, 3, 1], 6, [4, 2, 0]),
        ([5, 3, 1], 2, [2, 0, 0]),
        ([5, 3, 1], 0, [0, 0, 0]),
        ([5, 3, 1], 12, [6, 4, 2]),
        ([5, -3], 4, [4, 0]),
        ([-1, -1], 4, [2, 2]),
        ([7], 3, [3]),
    ],
)
def test_levelling_by_example(levels: list[int], total: int, parts: list[int]) -> None:
    assert levelled(levels, total) == parts


@pytest.mark.parametrize(
    ("written", "meant"), [(0.1, "1/10"), (1e-6, "1/1000000"), (0.3, "3/10"), (1, "1"), (0.0, "0"), (2.5e7, "25000000")]
)
def test_a_float_is_the_number_that_was_written(written: float, meant: str) -> None:
    assert exact(written) == Fraction(meant)
