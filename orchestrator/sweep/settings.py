"""Which trials a sweep has: its settings, with every seed, and the control arms beside them. Pure."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from orchestrator.config.sweep import OWN_KEYS, IntervalConfig, SweepConfig
from orchestrator.config.sweep import Value as Value
from orchestrator.errors import ConfigError

SPEC, CONTROL = "spec", "control"
SHARE, EPOCHS, UNIQUE, START = "mixture.spec_share", *(f"sweep.{key}" for key in OWN_KEYS)
Setting = Mapping[str, Value]

_VARIED = ("mixture", "training", EPOCHS, UNIQUE, START)
_THE_SAME = {  # what makes losses comparable, and what the sweep itself sets
    "sweep.seeds": "Its values are a list: sweep.seeds=[0,1]",
    "mixture.seed": "Give sweep.seeds, which sets it and training.seed together: sweep.seeds=[0,1]",
    "training.seed": "Give sweep.seeds, which sets it and mixture.seed together: sweep.seeds=[0,1]",
    "training.sequence_length": "Make a sweep for each: losses of sequences of other lengths are not comparable",
    "training.precision": "Make a sweep for each: the same base model has other losses in another precision",
    "model.start_from": "Make a sweep for each: every trial is compared with the model that all begin from, and there would be several",
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
    """The trials with the spec of a grid or a list, seed after seed, so that a sweep that is stopped early has every setting once."""
    settings = list(sweep.trials) or [dict(zip(sweep.vary, values, strict=True)) for values in product(*_lists(sweep))]
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


def control_setting(setting: Setting, spec: Collection[str]) -> dict[str, Value]:
    """What is left of a setting without the spec: all settings that differ in nothing else have one control.

    Args:
        setting: of a trial with the spec.
        spec: the names of the sources with the role spec.
    """
    return {key: value for key, value in setting.items() if not _is_of_the_spec(key, spec)}


def _is_of_the_spec(key: str, spec: Collection[str]) -> bool:
    """Whether a key says how much of the spec there is, or how often any source may be repeated."""
    in_mixture, _, source = key.removeprefix("mixture.").partition(".")
    return key in (SHARE, EPOCHS, UNIQUE, START) or (key.startswith("mixture.") and (in_mixture == "max_epochs" or source in spec))


def varies(sweep: SweepConfig, key: str) -> bool:
    """Whether a key is varied; one value is, too, as the first of those that are added later."""
    return key in keys_of(sweep)


def refuse_keys(sweep: SweepConfig) -> None:
    """Refuse to vary what would make losses that cannot be compared, or what the sweep itself sets.

    Raises:
        ConfigError: a key cannot be varied.
    """
    for key in keys_of(sweep):
        if key in _THE_SAME:
            raise ConfigError(f"{key} cannot be varied. {_THE_SAME[key]}.")
        if not any(key == allowed or key.startswith(f"{allowed}.") for allowed in _VARIED):
            raise ConfigError(
                f"{key} cannot be varied: all trials have the same model, sources and measures. Vary keys of mixture and training, "
                f"{EPOCHS}, {UNIQUE} or {START}."
            )
