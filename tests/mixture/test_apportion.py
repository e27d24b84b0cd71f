"""Shares of a whole as exact integers."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.mixture.apportion import exact
from tests.mixture.mixtures import LAW, counts_of, shares

TOTALS = st.one_of(st.integers(0, 200), st.integers(0, 1 << 45))


@LAW
@given(TOTALS, shares())
def test_the_counts_sum_to_the_whole(total: int, mixture: tuple[list[Fraction], list[str]]) -> None:
    assert sum(counts_of(total, mixture[0])) == total


@LAW
@given(TOTALS, shares())
def test_every_count_is_within_one_of_its_share(total: int, mixture: tuple[list[Fraction], list[str]]) -> None:
    for count, share in zip(counts_of(total, mixture[0]), mixture[0], strict=True):
        assert count >= 0
        assert abs(count - total * share) < 1


@LAW
@given(st.integers(0, 1000), shares(most=8), st.integers(0, 8))
def test_a_share_of_nothing_gets_nothing_and_changes_no_other(total: int, mixture: tuple[list[Fraction], list[str]], at: int) -> None:
    parts = mixture[0]
    at = min(at, len(parts))
    counts = counts_of(total, [*parts[:at], Fraction(0), *parts[at:]])
    assert counts[at] == 0
    assert counts[:at] + counts[at + 1 :] == counts_of(total, parts)


@pytest.mark.parametrize(
    ("total", "parts", "counts"),
    [
        (10, ["1/3", "1/3", "1/3"], [4, 3, 3]),  # ties go to the earlier share
        (100, ["1/6", "1/6", "2/3"], [17, 17, 66]),
        (1, ["1/2", "1/2"], [1, 0]),
        (0, ["1/2", "1/2"], [0, 0]),
        (7, ["1"], [7]),
        (10**15, ["1/3", "2/3"], [333333333333333, 666666666666667]),
    ],
)
def test_largest_remainders_by_example(total: int, parts: list[str], counts: list[int]) -> None:
    assert counts_of(total, [Fraction(part) for part in parts]) == counts


@pytest.mark.parametrize(
    ("written", "meant"), [(0.1, "1/10"), (1e-6, "1/1000000"), (0.3, "3/10"), (1, "1"), (0.0, "0"), (2.5e7, "25000000")]
)
def test_a_float_is_the_number_that_was_written(written: float, meant: str) -> None:
    assert exact(written) == Fraction(meant)
