"""The command that trains a trial by itself: the overrides of the sweep, and what the trial has otherwise. Pure."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_OF_THE_SWEEP = ("run.name", "run.dir", "tracking.group", "tracking.tags", "checkpoints.second_home")
_WHOLE = ("mixture.unique_tokens", "mixture.max_epochs", "mixture.ratios", "mixture.source_tokens", "mixture.source_epochs")


def command_of(overrides: Sequence[str], varied: Mapping[str, Any], trial: Mapping[str, Any], name: str) -> str:
    """Words for a shell, to be given where the sweep was made.

    Args:
        overrides: of the sweep, without what varies.
        varied: the values of the run that they make.
        trial: those of the trial.
        name: of the run that the command makes.
    """
    own = [f"{key}={_written(value)}" for key, value in _differences(varied, trial) if key not in _OF_THE_SWEEP]
    kept = [word for word in overrides if not word.startswith(("sweep.", "sweep=", "run.name=", "run.dir="))]
    return shlex.join(["midtrain", "train", *kept, *own, f"run.name={name}"])


def _differences(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The keys of the other's leaves that the first has otherwise or not at all, and their values there."""
    for name, value in other.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and isinstance(one.get(name), Mapping) and key not in _WHOLE:
            yield from _differences(one[name], value, f"{key}.")
        elif _plain(value) != _plain(one.get(name)):
            yield key, value


def _plain(value: Any) -> Any:
    """Lists and tuples alike, numbers of one kind."""
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _written(value: Any) -> str:
    """A value as an override has it."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_written(one)}" for key, one in value.items() if one is not None) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_written, value)) + "]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
