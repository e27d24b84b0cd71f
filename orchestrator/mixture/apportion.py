"""Shares of a whole as exact integers."""

from collections.abc import Sequence
from fractions import Fraction


def exact(number: float) -> Fraction:
    """The rational number a person meant when writing a float: 0.1 is one tenth, not its nearest double."""
    return Fraction(repr(float(number)))


def whole_counts(total: int, wants: Sequence[int], unit: int) -> list[int]:
    """Round wants to counts that sum to a total, those with the largest remainders up.

    Hamilton's method, for wants that may be below 0, which get none: then those that would be furthest above their want give one back.

    Args:
        total: what the counts sum to; at least 0.
        wants: in units; they sum to nearly the total.
        unit: how many units are one.

    Returns:
        One count a want, at least 0.
    """
    assert wants or total == 0
    counts = [max(0, want // unit) for want in wants]
    while (missing := total - sum(counts)) > 0:
        by_remainder = sorted(range(len(wants)), key=lambda i: counts[i] * unit - wants[i])
        for i in by_remainder[:missing]:
            counts[i] += 1
    while sum(counts) > total:
        furthest = max((i for i in range(len(wants)) if counts[i]), key=lambda i: counts[i] * unit - wants[i])
        counts[furthest] -= 1
    return counts
