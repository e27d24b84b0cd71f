"""Shares of a whole as exact integers."""

from collections.abc import Sequence
from fractions import Fraction


def exact(number: float) -> Fraction:
    """The rational number a person meant when writing a float: 0.1 is one tenth, not its nearest double."""
    return Fraction(repr(float(number)))


def round_quotas(total: int, quotas: Sequence[Fraction]) -> list[int]:
    """Round quotas down or up, those with the largest remainders up, so that they sum to a total.

    Hamilton's method; ties go to the earlier quota.

    Args:
        total: what they sum to; within one of the quotas' own sum.
        quotas: each at least 0.

    Returns:
        One count a quota, less than one from it.
    """
    counts = [int(quota) for quota in quotas]
    by_remainder = sorted(range(len(quotas)), key=lambda i: counts[i] - quotas[i])
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    assert sum(counts) == total
    return counts
