"""Which trials a sweep has: its settings, with every seed, and the control arms beside them. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from orchestrator.config.sweep import OWN_KEYS, IntervalConfig, SweepConfig
from orchestrator.config.sweep import Value as Value
from orchestrator.errors import ConfigError

SPEC, CONTROL = "spec", "control"
SHARE, EPOCHS, UNIQUE, START = "mixture.spec_share", *(f"sweep.{key}" for key in OWN_KEYS)
Setting = Mapping[str, Value]

# Of the mixture, what says how much of the spec there is: a control has none, so that all of its settings have one control.
_OF_THE_SPEC = (SHARE, EPOCHS, UNIQUE, START, "mixture.max_epochs", "mixture.unique_tokens")
_VARIED = ("mixture", "training", "model.start_from", EPOCHS, UNIQUE, START)
_THE_SAME = {  # what makes losses comparable, and what the sweep itself sets
    "mixture.seed": "Give sweep.seeds, which sets it and training.seed together",
    "training.seed": "Give sweep.seeds, which sets it and mixture.seed together",
    "training.sequence_length": "Make a sweep for each: losses of sequences of other lengths are not comparable",
    "training.log_every_steps": "Give it one value: it changes nothing that is trained",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialWish:
    """A trial before it is planned.

    Attributes:
        arm: `spec` or `control`.
        setting: key -> value of what varies, without the seed.
        seed: of its data order and of training.
    """

    arm: str
    setting: Setting
    seed: int


def wishes_of(sweep: SweepConfig) -> list[TrialWish]:
    """The trials with the spec of a grid or a list, seed after seed, so that a sweep that is stopped early has every setting once.

    Raises:
        ConfigError: a key cannot be varied.
    """
    settings = list(sweep.trials) or [dict(zip(sweep.vary, values, strict=True)) for values in product(*_lists(sweep))]
    for key in keys_of(sweep):
        _refuse(key)
    return [TrialWish(arm=SPEC, setting=setting, seed=seed) for seed in sweep.seeds for setting in settings]


def middle(sweep: SweepConfig) -> dict[str, Value]:
    """A setting in the middle of everything that a sampler may choose."""
    return {key: _middle(values) if isinstance(values, IntervalConfig) else values[len(values) // 2] for key, values in sweep.vary.items()}


def _middle(interval: IntervalConfig) -> float:
    value = math.sqrt(interval.low * interval.high) if interval.log else (interval.low + interval.high) / 2
    return round(value) if interval.integer else value


def _lists(sweep: SweepConfig) -> Iterator[Sequence[Value]]:
    """The values of each key; the sampler has its own for those of intervals."""
    for values in sweep.vary.values():
        if not isinstance(values, IntervalConfig):
            yield values


def keys_of(sweep: SweepConfig) -> list[str]:
    """What is varied, in the order of the command."""
    return list(dict.fromkeys([*sweep.vary, *(key for setting in sweep.trials for key in setting)]))


def control_setting(setting: Setting) -> dict[str, Value]:
    """What is left of a setting without the spec."""
    return {key: value for key, value in setting.items() if not key.startswith(_OF_THE_SPEC)}


def varies(sweep: SweepConfig, key: str) -> bool:
    """Whether trials with the spec differ in a key."""
    values = sweep.vary.get(key, ())
    return isinstance(values, IntervalConfig) or len(values) > 1 or len({setting.get(key) for setting in sweep.trials}) > 1


def _refuse(key: str) -> None:
    if key in _THE_SAME:
        raise ConfigError(f"{key} cannot be varied. {_THE_SAME[key]}.")
    if not any(key == allowed or key.startswith(f"{allowed}.") for allowed in _VARIED):
        raise ConfigError(
            f"{key} cannot be varied: all trials have the same model, sources and measures. Vary keys of mixture and training, "
            f"model.start_from, {EPOCHS}, {UNIQUE} or {START}."
        )
