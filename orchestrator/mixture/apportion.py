"""Shares of a whole as exact integers."""

from collections.abc import Sequence
from fractions import Fraction


def exact(number: float) -> Fraction:
    """The rational number a person meant when writing a float: 0.1 is one tenth, not its nearest double."""
    return Fraction(repr(float(number)))


def apportion(total: int, shares: Sequence[Fraction]) -> list[int]:
    """Split a whole into integers, each within one of its share, that sum to it.

    The method of largest remainders (Hamilton); ties go to the earlier share.

    Args:
        total: what is split, at least 0.
        shares: at least one, each at least 0; only their proportions matter.

    Returns:
        One count a share; they sum to `total`.
    """
    whole = sum(shares)
    assert whole > 0, "the caller checks that something has a share"
    return round_quotas(total, [total * share / whole for share in shares])


def round_quotas(total: int, quotas: Sequence[Fraction]) -> list[int]:
    """Round quotas down or up, those with the largest remainders up, so that they sum to a total.

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
