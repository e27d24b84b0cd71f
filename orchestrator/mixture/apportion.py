"""Numbers as they were meant, and a whole divided into parts."""

from collections.abc import Sequence
from fractions import Fraction


def exact(number: float) -> Fraction:
    """The rational number a person meant when writing a float: 0.1 is one tenth, not its nearest double."""
    return Fraction(repr(float(number)))


def levelled(levels: Sequence[int], total: int) -> list[int]:
    """Divide a total so that what is left of every level is the same; a level under that gets nothing.

    Args:
        levels: any integers, at least one.
        total: at least 0.

    Returns:
        One part a level, at least 0; they sum to the total, or to less than one a level more.
    """
    highest = sorted(levels, reverse=True)
    rest = sum(highest) - total
    while len(highest) > 1 and highest[-1] * len(highest) < rest:
        rest -= highest.pop()
    return [max(0, level - rest // len(highest)) for level in levels]
