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
    quotas = [total * share / whole for share in shares]
    counts = [int(quota) for quota in quotas]
    by_remainder = sorted(range(len(shares)), key=lambda i: counts[i] - quotas[i])
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    return counts
