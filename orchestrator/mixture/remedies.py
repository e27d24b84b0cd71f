"""Numbers that a refused mixture would work with, rounded to the side on which they do."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction

_DIGITS = 4


def lowered(ratio: Fraction) -> str:
    """A ratio of at most the given one, with a few significant digits."""
    return _rounded(ratio, ROUND_FLOOR)


def raised(ratio: Fraction) -> str:
    """A ratio of at least the given one, with a few significant digits."""
    return _rounded(ratio, ROUND_CEILING)


def raised_cap(epochs: Fraction) -> str:
    """A cap of at least the given epochs, with at most two decimals."""
    hundredths = -(-epochs.numerator * 100 // epochs.denominator)
    return f"{Decimal(hundredths) / 100:f}".rstrip("0").rstrip(".") if hundredths % 100 else str(hundredths // 100)


def most_steps(share: Fraction, sequences_per_step: int, most_sequences: int) -> int:
    """The longest run in which a source of this share stays within its sequences; 0 when none does."""
    return int(most_sequences / (share * sequences_per_step))


def fewest_steps(share: Fraction, sequences_per_step: int) -> int:
    """The shortest run that surely sees a source of this share: its part of it is a whole sequence."""
    return -int(-1 // (share * sequences_per_step))


def _rounded(ratio: Fraction, rounding: str) -> str:
    context = Context(prec=_DIGITS, rounding=rounding)
    return f"{float(context.divide(Decimal(ratio.numerator), Decimal(ratio.denominator))):.{_DIGITS}g}"
