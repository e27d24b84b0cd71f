"""What is the same in all trials of a sweep, so that their losses can be compared and those of one setting differ in nothing. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.config.load import plain_values
from orchestrator.config.sweep import OWN_KEYS, SweepConfig
from orchestrator.sweep.settings import SHARE, keys_of

_FRAME = ("model", "sources", "corpus", "shards", "evaluation", "feed.document_attention", "training.sequence_length", "training.precision")
_TRAINED = ("mixture", "training")
_WITHOUT_EFFECT = ("model.description", "mixture.seed", "training.seed", "training.log_every_steps", "training.peak_tflops_per_rank")
_CONFIGURED = {  # what is held follows from how these are configured, also where they vary
    "total_tokens": (),
    "updates": ("training.sequences_per_step",),
    "spec_tokens": (SHARE, "mixture.total_tokens"),
    "epochs": (SHARE, "mixture.total_tokens", "mixture.unique_tokens"),
}


def frame(values: Mapping[str, Any]) -> dict[str, Any]:
    """What decides what the base model measures.

    Args:
        values: of a run, nested.

    Returns:
        Key -> value, of the leaves alone.
    """
    return _within(values, _FRAME)


def made_of(values: Mapping[str, Any], sweep: SweepConfig) -> dict[str, Any]:
    """What decides what the trials of a sweep train and measure, apart from what varies: another value makes other trials of a setting.

    Args:
        values: of the run that is varied, nested, with all that its configuration leaves to defaults.
        sweep: its settings.

    Returns:
        Key -> value, of the leaves alone.
    """
    varied = [key for key in keys_of(sweep) if "." in key]  # what is given of a group stays, whichever of its files a trial has
    configured = _CONFIGURED[sweep.hold]
    settings = plain_values(sweep)
    own = {f"sweep.{key}": settings[key] for key in ("hold", "proxy", *OWN_KEYS)}
    found = own | _within(values, (*_FRAME, *_TRAINED))
    return {key: value for key, value in found.items() if _is_in(key, configured) or not _is_in(key, varied)}


def first_difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """The first key that two have otherwise, or that only one of them has."""
    missing = object()
    return next((key for key in [*other, *one] if one.get(key, missing) != other.get(key, missing)), None)


def _within(values: Mapping[str, Any], some: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in _leaves(values) if _is_in(key, some) and key not in _WITHOUT_EFFECT}


def _is_in(key: str, some: tuple[str, ...] | list[str]) -> bool:
    return any(key == one or key.startswith(f"{one}.") for one in some)


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
