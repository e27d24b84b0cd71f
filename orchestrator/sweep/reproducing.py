"""The command that trains a trial by itself: the overrides of the sweep, and what the trial has otherwise. Pure."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.config.varied import written

_OF_THE_SWEEP = ("run.name", "run.dir", "tracking.group", "tracking.tags", "checkpoints.second_home")
_BY_SOURCE = ("mixture.unique_tokens", "mixture.max_epochs", "mixture.ratios", "mixture.source_tokens", "mixture.source_epochs")


def command_of(overrides: Sequence[str], varied: Mapping[str, Any], trial: Mapping[str, Any], name: str) -> str:
    """Words for a shell, to be given where the sweep was made.

    Args:
        overrides: of the sweep, without what varies.
        varied: the values of the run that they make.
        trial: those of the trial.
        name: of the run that the command makes.
    """
    own = [word for key, value, before in _differences(varied, trial) if key not in _OF_THE_SWEEP for word in _words(key, value, before)]
    if home := trial["checkpoints"].get("second_home"):
        own.append(f"checkpoints.second_home={written(home.rpartition('/')[0] + '/' + name)}")  # beside that of the trial
    kept = [word for word in overrides if not word.startswith(("sweep.", "sweep=", "run.name=", "run.dir="))]
    return shlex.join(["midtrain", "train", *kept, *own, f"run.name={name}"])


def _differences(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The keys of the other's leaves that the first has otherwise or not at all, their values there, and those in the first."""
    for name, value in other.items():
        key, before = f"{prefix}{name}", one.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping) and key not in _BY_SOURCE:
            yield from _differences(before, value, f"{key}.")
        elif _plain(value) != _plain(before):
            yield key, value, before


def _words(key: str, value: Any, before: Any) -> Iterator[str]:
    """What gives a key its value. A mapping would be merged into the one that is there, so that one with fewer names replaces it."""
    if isinstance(before, Mapping) and isinstance(value, Mapping) and set(before) - set(value):
        yield f"~{key}={written(before)}"
    yield f"{key}={written(value)}"


def _plain(value: Any) -> Any:
    """Lists and tuples alike."""
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
