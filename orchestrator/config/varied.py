"""Overrides with several values, as Hydra writes them: `key=a,b`, `key=range(1,4)`, `key=interval(0.01,0.5)`, `tag(log,interval(…))`."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, Quote, QuotedString, RangeSweep
from hydra.errors import HydraException

from orchestrator.config.load import SWEEP, compose_values
from orchestrator.config.schema import Config
from orchestrator.config.secrets import refuse_secrets
from orchestrator.config.sweep import IntervalConfig, SweepConfig, Value
from orchestrator.config.validation import validated
from orchestrator.errors import ConfigError

Values = tuple[Value, ...] | IntervalConfig

_OPEN = "<open>"  # stands where the run has no value for what varies
_MOST_VALUES = 10_000
_PLAIN_TEXT = re.compile(r"(?!(?:true|false|null|inf|nan)$)[a-z_][a-z0-9_./-]*", re.IGNORECASE)


def load_sweep(overrides: Sequence[str]) -> tuple[dict[str, Any], SweepConfig, list[str]]:
    """Compose a sweep.

    Args:
        overrides: as those of a run; one with several values is varied.

    Returns:
        The values of the run that is varied, the sweep, and the overrides without those that vary.

    Raises:
        ConfigError: something cannot be read, or the run or the sweep is invalid.
    """
    refuse_secrets(overrides)
    fixed, varied = split_varied(overrides)
    values, fixed = _composed(fixed, varied)
    of_file = values[SWEEP].get("vary") or {}
    kept, again = _given_again(fixed, of_file)
    if again:
        varied = again | varied
        values, fixed = _composed(kept, varied)
    of_sweep = values.pop(SWEEP)
    vary = {key: values_of(key, given) for key, given in of_file.items() if key not in varied} | varied
    sweep = validated(SweepConfig, of_sweep | {"vary": {key: _plain(several) for key, several in vary.items()}}, SWEEP)
    validated(Config, values)
    return values, sweep, fixed


def _given_again(fixed: Sequence[str], of_file: Mapping[str, Any]) -> tuple[list[str], dict[str, Values]]:
    """The overrides that give one value to what a file varies, apart: the command's value is the one that is trained."""
    kept: list[str] = []
    again: dict[str, Values] = {}
    for override in fixed:
        parsed = _parsed(override)
        if parsed is None or parsed.is_delete() or parsed.key_or_group not in of_file:
            kept.append(override)
        else:
            again[parsed.key_or_group] = (_value(override, parsed.value()),)
    return kept, again


def _composed(fixed: Sequence[str], varied: Mapping[str, Values]) -> tuple[dict[str, Any], list[str]]:
    """The values of the run, and the overrides that make it: what varies has its first value where the run is open."""
    values = compose_values(fixed, dict.fromkeys(varied, _OPEN))
    opened = [f"{key}={written(first_of(several))}" for key, several in varied.items() if _at(values, key) == _OPEN]
    return (compose_values([*fixed, *opened]) if opened else values), [*fixed, *opened]


def _at(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values


def split_varied(overrides: Sequence[str]) -> tuple[list[str], dict[str, Values]]:
    """The overrides with one value, and the keys of the others with all of theirs."""
    fixed, varied = [], {}
    for override in overrides:
        parsed = _parsed(override)
        if parsed is not None and parsed.is_sweep_override():
            varied[parsed.key_or_group] = _several(override, parsed)
        else:
            fixed.append(override)
    return fixed, varied


def values_of(key: str, given: Any) -> Values:
    """The values of a key in a file's `vary`: a list, or a text as on the command line.

    Raises:
        ConfigError: it is neither.
    """
    if isinstance(given, list):
        return tuple(_value(f"sweep.vary.{key}", value) for value in given)
    parsed = _parsed(f"{key}={given}") if isinstance(given, str) else None
    if parsed is None or not parsed.is_sweep_override():
        raise ConfigError(f"sweep.vary.{key}={given!r} is neither a list of values nor interval(low, high). Write it as one of them.")
    return _several(f"{key}={given}", parsed)


def written(value: Any) -> str:
    """A value as an override has it: what Hydra reads back as the same value."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{written(one)}" for key, one in value.items() if one is not None) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(written, value)) + "]"
    if isinstance(value, str) and not _PLAIN_TEXT.fullmatch(value):
        return QuotedString(text=value, quote=Quote.single).with_quotes()
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _parsed(override: str) -> Override | None:
    """None for what the loader will refuse."""
    try:
        return OverridesParser.create().parse_override(override)
    except HydraException:
        return None


def _several(override: str, parsed: Override) -> Values:
    value = parsed.value()
    if isinstance(value, RangeSweep) and not _num_values(value) <= _MOST_VALUES:
        raise ConfigError(f"{override} has {_num_values(value):,.0f} values, over the {_MOST_VALUES:,} of a sweep. Give it fewer.")
    if isinstance(value, ChoiceSweep | RangeSweep):
        return tuple(_value(override, one) for one in parsed.sweep_iterator())
    if isinstance(value, IntervalSweep):
        low, high = value.start, value.end
        integer = isinstance(low, int) and isinstance(high, int)
        given = {"low": low, "high": high, "log": "log" in value.tags, "integer": integer}
        return validated(IntervalConfig, given, f"{SWEEP}.vary.{parsed.key_or_group}")
    raise ConfigError(f"{override}: a sweep takes values (key=a,b), range(…) or interval(…). Write it as one of them.")


def _num_values(several: RangeSweep) -> float:
    assert several.start is not None and several.stop is not None
    return abs((several.stop - several.start) / several.step) if several.step else math.inf


def _value(where: str, value: Any) -> Value:
    """What can be varied: a number, a word, true, false or null."""
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where}: {value} is not a finite number. Give finite ones.")
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise ConfigError(
        f"{where}: what varies is a number, a text, true, false or null, not a list or a mapping. Vary the keys within it, or make a file "
        f"of the group for each and vary the group."
    )


def first_of(several: Values) -> Value:
    """The first of values, or the lower end of an interval."""
    if isinstance(several, IntervalConfig):
        return int(several.low) if several.integer else several.low
    return several[0]


def _plain(several: Values) -> Any:
    if isinstance(several, IntervalConfig):
        return {"low": several.low, "high": several.high, "log": several.log, "integer": several.integer}
    return list(several)
