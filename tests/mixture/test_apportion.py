"""Numbers that a person wrote, as exact rationals."""

from fractions import Fraction

import pytest

from orchestrator.mixture.apportion import exact


@pytest.mark.parametrize(
    ("written", "meant"), [(0.1, "1/10"), (1e-6, "1/1000000"), (0.3, "3/10"), (1, "1"), (0.0, "0"), (2.5e7, "25000000")]
)
def test_a_float_is_the_number_that_was_written(written: float, meant: str) -> None:
    assert exact(written) == Fraction(meant)
