"""Numbers and findings in plain words."""

import math
from collections.abc import Mapping, Sequence

from orchestrator.report.summary import HeldoutChange

_MINUS, SPACE, NARROW_SPACE = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}"
_NAMED_SOURCES = 4  # a sentence names no more


def percent(share: float, digits: int = 1, *, signed: bool = False) -> str:
    """A share in percent, such as `11.2 %`; signed, with a plus or a minus."""
    return f"{number(100 * share, digits, signed=signed)}{NARROW_SPACE}%"


def change_in_words(change: HeldoutChange, *, signed: bool) -> str:
    """A relative change and its standard error, with as many digits as the error bears: `11.2 % ± 0.6`."""
    digits = change_digits(change)
    value = percent(change.change if signed else abs(change.change), digits, signed=signed)
    return value if change.change_stderr is None else f"{value}{SPACE}±{SPACE}{100 * change.change_stderr:.{digits}f}"


def points(change: float, stderr: float | None) -> str:
    """A change of a share in percentage points and its standard error: `+11.2 ± 0.6`."""
    digits = error_digits(100 * (stderr or 0))
    value = number(100 * change, digits, signed=True)
    return value if stderr is None else f"{value}{SPACE}±{SPACE}{100 * stderr:.{digits}f}"


def items_in_words(num_items: int, num_cut: int) -> str:
    """How many items a probe has, and of how many the prompt was cut, if of any."""
    return f"{num_items:,}" + (f", {num_cut:,} cut" if num_cut else "")


def change_digits(change: HeldoutChange) -> int:
    """Digits after the point at which a change in percent is told: one, or what shows the first digit of its standard error."""
    return error_digits(100 * (change.change_stderr or 0))


def error_digits(error: float, least: int = 1) -> int:
    """Digits after the point that an error bears: what shows its first digit, at least so many and at most three."""
    return min(3, max(least, math.ceil(-math.log10(error)))) if error else max(1, least)


def number(value: float, digits: int, *, signed: bool = False) -> str:
    """A number with so many digits after the point and a true minus; nothing is below zero that rounds to it."""
    text = f"{value:{'+' if signed else ''}.{digits}f}"
    if float(text) == 0:
        text = f"{0:.{digits}f}"
    return text.replace("-", _MINUS)


def listed(parts: Sequence[str]) -> str:
    """Such as `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def duration(seconds: float) -> str:
    """Such as `1 h 02 min`, `3 min 20 s`, `4.2 s` or `12 ms`."""
    if seconds == 0:
        return "0 s"
    if seconds < 0.9995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def moment(time: str) -> str:
    """A time of the ledger, such as `2026-01-31T09:30:00Z`, for people."""
    return time.removesuffix("Z").replace("T", " ")


def headline(changes: Mapping[str, HeldoutChange]) -> str:
    """What was learned and what was forgotten, in one or two sentences.

    Args:
        changes: of each source with held-out text.
    """
    spec = {name: change for name, change in changes.items() if change.role == "spec"}
    general = {name: change for name, change in changes.items() if change.role != "spec"}
    if changes and not measured_since(changes):
        return "The held-out loss has not been measured since before the first step, so what was learned is not known yet."
    return f"{_spec_sentence(spec)} {_general_sentence(general)}"


def measured_since(changes: Mapping[str, HeldoutChange]) -> bool:
    """Whether the held-out loss was measured again after the first step."""
    return any(change.step > 0 for change in changes.values())


def progress(step: int, steps: int) -> str | None:
    """A sentence that says how far an unfinished run is; none for one that has trained all of its steps."""
    return f"Not finished: step {step:,} of {steps:,}. These are its figures so far." if step < steps else None


def _spec_sentence(changes: Mapping[str, HeldoutChange]) -> str:
    if not changes:
        return "No text of the spec was held out, so how well it was learned was not measured."
    if len(changes) == 1:
        (change,) = changes.values()
        return f"The spec\N{RIGHT SINGLE QUOTATION MARK}s held-out loss {_verdict(change)}."
    verdicts = listed([f"{name} {_verdict(change)}" for name, change in changes.items()])
    return f"Of the spec\N{RIGHT SINGLE QUOTATION MARK}s sources, {verdicts}."


def _verdict(change: HeldoutChange) -> str:
    values = f"({change.before:.2f}{SPACE}→{SPACE}{change.after:.2f})"
    if change.is_clear:
        return f"{'rose' if _rose(change) else 'fell'} by {change_in_words(change, signed=False)} {values}"
    return f"changed by {change_in_words(change, signed=True)} {values}, {_doubt(change)}"


def _doubt(change: HeldoutChange) -> str:
    if change.change_stderr is None:
        what = "sequence" if change.num_documents is None else "document"
        return f"measured on one {what}, so without a standard error"
    return "within twice its standard error of zero"


def _general_sentence(changes: Mapping[str, HeldoutChange]) -> str:
    if not changes:
        return "No general text was held out, so what was forgotten was not measured."
    if len(changes) == 1:
        return f"The general source {_clauses(changes)}: {_forgotten(changes)}."
    return f"Of the general sources, {_clauses(changes)}: {_forgotten(changes)}."


def _clauses(changes: Mapping[str, HeldoutChange]) -> str:
    """All of a few sources; of many, those that rose most and the span of the others."""
    if len(changes) <= _NAMED_SOURCES:
        return listed(_named(list(changes.items())))
    worst_first = sorted(changes.items(), key=lambda item: -item[1].change)
    named = [item for item in worst_first if _rose(item[1])][: _NAMED_SOURCES - 1] or worst_first[:1]
    rest = [change.change for _, change in worst_first[len(named) :]]
    span = f"the other {len(rest)} changed by {percent(min(rest), signed=True)} to {percent(max(rest), signed=True)}"
    return listed([*_named(named), span])


def _named(changes: Sequence[tuple[str, HeldoutChange]]) -> list[str]:
    """A clause for each source; a verb is not said twice in a row."""
    clauses, verb_before = [], ""
    for name, change in changes:
        verb = "rose" if _rose(change) else "changed"
        clauses.append(f"{name} by {_amount(change)}" if verb == verb_before else f"{name} {verb} by {_amount(change)}")
        verb_before = verb
    return clauses


def _amount(change: HeldoutChange) -> str:
    if _rose(change):
        return change_in_words(change, signed=False)
    value = percent(change.change, change_digits(change), signed=True)
    return value if change.is_clear else f"{value} ({_doubt(change)})"


def _rose(change: HeldoutChange) -> bool:
    return change.is_clear and change.change > 0


def _forgotten(changes: Mapping[str, HeldoutChange]) -> str:
    rose = [name for name, change in changes.items() if _rose(change)]
    if len(rose) == len(changes) > 1:
        return "all were forgotten in part"
    if len(rose) > _NAMED_SOURCES:
        return f"{len(rose)} of {len(changes)} were forgotten in part"
    if rose:
        return f"{listed(rose)} {'was' if len(rose) == 1 else 'were'} forgotten in part"
    return "nothing was forgotten" if all(change.is_clear for change in changes.values()) else "no forgetting is shown"
