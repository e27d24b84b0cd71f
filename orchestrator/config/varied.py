"""Overrides with several values, as Hydra writes them: `key=a,b`, `key=range(1,4)`, `key=interval(0.01,0.5)`, `tag(log,interval(…))`."""

from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException

from orchestrator.config.load import SWEEP, compose_values
from orchestrator.config.schema import Config
from orchestrator.config.sweep import IntervalConfig, SweepConfig, Value
from orchestrator.config.validation import validated
from orchestrator.errors import ConfigError

Values = tuple[Value, ...] | IntervalConfig


def load_sweep(overrides: Sequence[str]) -> tuple[dict[str, Any], SweepConfig, list[str]]:
    """Compose a sweep.

    Args:
        overrides: as those of a run; one with several values is varied.

    Returns:
        The values of the run that is varied, the sweep, and the overrides without those that vary.

    Raises:
        ConfigError: something cannot be read, or the run or the sweep is invalid.
    """
    fixed, varied = split_varied(overrides)
    values = compose_values(fixed, {key: _first(several) for key, several in varied.items()})
    of_sweep = values.pop(SWEEP)
    vary = {key: values_of(key, given) for key, given in (of_sweep.get("vary") or {}).items()} | varied
    sweep = validated(SweepConfig, of_sweep | {"vary": {key: _plain(several) for key, several in vary.items()}}, SWEEP)
    validated(Config, values)
    return values, sweep, fixed


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
        return tuple(given)
    parsed = _parsed(f"{key}={given}") if isinstance(given, str) else None
    if parsed is None or not parsed.is_sweep_override():
        raise ConfigError(f"sweep.vary.{key}={given!r} is neither a list of values nor interval(low, high). Write it as one of them.")
    return _several(f"{key}={given}", parsed)


def _parsed(override: str) -> Override | None:
    """None for what the loader will refuse."""
    try:
        return OverridesParser.create().parse_override(override)
    except HydraException:
        return None


def _several(override: str, parsed: Override) -> Values:
    value = parsed.value()
    if isinstance(value, ChoiceSweep | RangeSweep):
        return tuple(parsed.sweep_iterator())  # type: ignore[arg-type]
    if isinstance(value, IntervalSweep):
        low, high = value.start, value.end
        integer = isinstance(low, int) and isinstance(high, int)
        given = {"low": low, "high": high, "log": "log" in value.tags, "integer": integer}
        return validated(IntervalConfig, given, f"{SWEEP}.vary.{parsed.key_or_group}")
    raise ConfigError(f"{override}: a sweep takes values (key=a,b), range(…) or interval(…). Write it as one of them.")


def _first(several: Values) -> Value:
    return several.low if isinstance(several, IntervalConfig) else several[0]


def _plain(several: Values) -> Any:
    if isinstance(several, IntervalConfig):
        return {"low": several.low, "high": several.high, "log": several.log, "integer": several.integer}
    return list(several)
