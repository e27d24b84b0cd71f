"""Numbers with their intervals, and settings, as people read them."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from orchestrator.frontier.estimates import Estimate
from orchestrator.frontier.trials import Value
from orchestrator.report.wording import NARROW_SPACE, SPACE, error_digits, number, percent

SHARE_KEY = "mixture.spec_share"
_LEAST_PERCENT = 5e-4  # of a share that is not told as 0
_COMPACT_FROM = 10_000  # tokens
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def ends(estimate: Estimate) -> tuple[float, float]:
    """The interval of an estimate; the value itself at both ends where nothing says how sure it is."""
    low, high = (estimate.value if end is None else end for end in (estimate.low, estimate.high))
    return low, high


def estimate_digits(estimates: Iterable[Estimate], least: int = 1) -> int:
    """Digits after the point that a column of estimates in percent bears: as many as half of its intervals do."""
    halves = [50 * (e.high - e.low) for e in estimates if e.low is not None and e.high is not None]
    return error_digits(median(halves), least) if halves else 1


def estimate_in_words(estimate: Estimate, digits: int | None = None) -> str:
    """A share with its interval, such as `12.3 % [11.8, 12.9]`; without one, the share alone.

    Args:
        estimate: as a share.
        digits: after the point; those that its interval bears when not given.
    """
    digits = estimate_digits([estimate]) if digits is None else digits
    return f"{percent(estimate.value, digits)}{SPACE}{interval_in_words(estimate, digits)}".rstrip()


def points_in_words(estimate: Estimate, digits: int | None = None) -> str:
    """The change of a share in percentage points, with its interval, such as `+12.3 [11.8, 12.9]`."""
    digits = estimate_digits([estimate]) if digits is None else digits
    return f"{points(estimate.value, digits)}{SPACE}{interval_in_words(estimate, digits)}".rstrip()


def points(change: float, digits: int) -> str:
    """The change of a share in percentage points, such as `+12.3`."""
    return number(100 * change, digits, signed=True)


def interval_in_words(estimate: Estimate, digits: int | None = None) -> str:
    """The interval of a share in percent, such as `[11.8, 12.9]`; empty without one."""
    if estimate.low is None or estimate.high is None:
        return ""
    digits = estimate_digits([estimate]) if digits is None else digits
    return f"[{number(100 * estimate.low, digits)},{SPACE}{number(100 * estimate.high, digits)}]"


def share_in_words(share: float) -> str:
    """A spec share in percent with up to three significant digits, such as `10 %` or `0.125 %`."""
    return f"{_plain(100 * share, 3)}{NARROW_SPACE}%"


def shares_in_words(estimate: Estimate) -> str:
    """A spec share that was estimated, with its interval: `28 % [26, 31]`; one without an interval as it was tried."""
    if estimate.low is None or estimate.high is None:
        return share_in_words(estimate.value)
    return estimate_in_words(estimate, share_digits(estimate))


def share_digits(estimate: Estimate) -> int:
    """Digits after the point that an estimated spec share bears in percent: none where its interval is wider than a percent or two, but
    for a share below that what shows its first digit, so that it does not become 0."""
    value = 100 * abs(estimate.value)
    return max(estimate_digits([estimate], least=0), error_digits(value, least=0) if value > _LEAST_PERCENT else 0)


def tried_share_in_words(estimate: Estimate) -> str:
    """A spec share that was tried, and is told as such, with the interval of what it is an estimate of: `12.5 % [9.8, 12.5]`."""
    interval = "" if ends(estimate) == (estimate.value, estimate.value) else tried_interval_in_words(estimate)
    return f"{share_in_words(estimate.value)}{SPACE}{interval}".rstrip()


def tried_interval_in_words(estimate: Estimate) -> str:
    """An interval in percent whose ends are spec shares that were tried; empty without one."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"[{_plain(100 * estimate.low, 3)},{SPACE}{_plain(100 * estimate.high, 3)}]"


def tokens_in_words(tokens: float) -> str:
    """Such as `512`, `40 M` or `1.25 B`."""
    if tokens < _COMPACT_FROM:
        return f"{tokens:,.0f}"
    unit, letter = next((unit, letter) for unit, letter in _UNITS if tokens >= unit)
    return f"{_plain(tokens / unit, 3)}{NARROW_SPACE}{letter}"


def hours_in_words(hours: float, most: float | None = None) -> str:
    """Hours with up to three significant digits.

    Args:
        hours: to tell.
        most: the largest of those that are told together, in a column, which all have as many digits as it has, and one more.
    """
    scale = hours if most is None else most / 10
    return number(hours, 0 if scale >= 99.95 or scale == 0 else 1 if scale >= 9.995 else 2 if scale >= 0.0995 else 3)


def value_in_words(key: str, value: Value) -> str:
    """A value of a setting.

    Args:
        key: what is varied.
        value: shares in percent, tokens in thousands and millions, other numbers with four significant digits.
    """
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, str):
        return value
    if key.endswith("_share") and 0 <= value <= 1:
        return share_in_words(value)
    if key.endswith("tokens"):
        return tokens_in_words(value)
    return f"{value:,}" if isinstance(value, int) else _plain(value, 4)


def key_names(keys: Sequence[str]) -> dict[str, str]:
    """What each key is called: its last part, or its last two where others end alike.

    Args:
        keys: as in the configuration, such as `mixture.spec_share`.

    Returns:
        key -> name, such as `spec share`.
    """
    ends = [_end(key, 1) for key in keys]
    return {key: end if ends.count(end) == 1 else _end(key, 2) for key, end in zip(keys, ends, strict=True)}


def setting_in_words(setting: Mapping[str, Value], names: Mapping[str, str]) -> str:
    """A setting with the names of its keys, such as `spec share 10 %, learning rate 2e-05`.

    Args:
        setting: key -> value.
        names: of all keys of the sweep, in their order.
    """
    return ", ".join(f"{name}{SPACE}{value_in_words(key, setting[key])}" for key, name in names.items() if key in setting)


def short_setting(setting: Mapping[str, Value], names: Mapping[str, str]) -> str:
    """A setting's values alone, such as `10 % · 2e-05`."""
    return " · ".join(value_in_words(key, setting[key]) for key in names if key in setting)


def _end(key: str, parts: int) -> str:
    return " ".join(key.split(".")[-parts:]).replace("_", " ")


def _plain(value: float, digits: int) -> str:
    """A number with so many significant digits and no zeros behind them; very small ones with a power of ten, which no line breaks."""
    text = f"{value:.{digits}g}"
    mantissa, _, exponent = text.partition("e")
    if exponent.startswith("-"):
        text = f"{mantissa}\N{MULTIPLICATION SIGN}10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
    elif exponent:
        text = f"{value:,.0f}"
    return f"\N{MINUS SIGN}{text[1:]}" if text.startswith("-") else text
