"""The configuration of a sweep: which runs, what they have in common, and how they are gone through."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from orchestrator.config.values import STRICT, Count, CountOrNone, Folder, NotNegative, Positive

Value = str | int | float | bool | None
OWN_KEYS = ("spec_epochs", "unique_spec_tokens", "start_step")  # of the sweep, which can be varied as those of a run can


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class IntervalConfig:
    """Numbers between two, for the sampler to choose from."""

    low: float
    high: float
    log: bool = False  # as likely in 0.01 to 0.1 as in 0.1 to 1
    integer: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"interval({self.low:g}, {self.high:g}): the first must be below the second{', and above 0' * self.log}.")


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class SamplerConfig:
    """Who chooses values within intervals (Ozaki et al., "Multiobjective Tree-Structured Parzen Estimator", 2022)."""

    settings: Count  # how many it proposes; each is trained with every seed
    random_settings: Count = 8  # of these, the first ones, without a look at what was measured
    seed: CountOrNone = 0


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class EarlyStoppingConfig:
    """Which trials are stopped before their end: those that others dominate, with more uptake and less forgetting."""

    rule: Literal["halving", "curve"]  # successive halving; or where a fitted curve with its interval will end
    from_share: Annotated[float, Field(gt=0, lt=1)] = 0.25  # of a trial's steps, before which none is stopped
    keep_share: Annotated[float, Field(gt=0, lt=1)] = 0.5  # halving: of the trials at each rung


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class ProxyConfig:
    """The run that the sweep stands for: its trials repeat what it repeats, as often."""

    total_tokens: Count  # of that run
    unique_spec_tokens: Count | None = None  # that it will have; null: those that are prepared


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class SweepConfig:
    """Runs over ratios, lengths and seeds, with their control arms."""

    dir: Folder | None  # the sweep's directory; null: sweeps/<run.name>
    vary: dict[str, tuple[Value, ...] | IntervalConfig]  # key -> values: all combinations are trained
    trials: tuple[dict[str, Value], ...]  # instead: what each trial changes
    seeds: Annotated[tuple[CountOrNone, ...], Field(min_length=1)]  # of the data order and of training, the same for every setting
    hold: Literal["total_tokens", "spec_tokens", "epochs", "updates"]  # what stays as configured when other things vary
    spec_epochs: Positive | None  # passes over the spec; null: what shares and tokens come to
    unique_spec_tokens: Count | None  # a subset of the spec, nested in every larger one; null: all, or what epochs and shares come to
    start_step: Count | None  # the first step that trains the spec, general text alone before; null: the first
    controls: bool  # add a trial without the spec for every number of tokens and seed
    at_once: Count | None  # trials side by side; null: as many as the cluster has room for
    sampler: SamplerConfig | None  # null: nothing is varied by intervals
    early_stopping: EarlyStoppingConfig | None  # null: every trial is trained to its end
    proxy: ProxyConfig | None  # null: the sweep stands for itself
    max_forgetting: (
        NotNegative  # the report tells the largest spec share with no more: a rise of the general held-out loss, as a share of it
    )
    tokens_per_second_per_rank: Positive | None  # for the estimate of the cost; null: measured, or computed from the model

    def __post_init__(self) -> None:
        intervals = [key for key, values in self.vary.items() if isinstance(values, IntervalConfig)]
        if self.vary and self.trials:
            raise ValueError(f"vary={', '.join(self.vary)} and trials exclude each other. Leave one out.")
        if intervals and self.sampler is None:
            raise ValueError(
                f"{intervals[0]} is varied over an interval, and nobody chooses from it. Give sampler.settings=20, or list its values."
            )
        if self.sampler and not intervals:
            raise ValueError(
                "sampler is given, and no key is varied over an interval. Write key=interval(low,high), or set sampler to null."
            )
        if empty := [key for key, values in self.vary.items() if values == ()]:
            raise ValueError(f"vary.{empty[0]} has no values. Give some, or leave it out.")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds={list(self.seeds)} has one twice. Leave it out.")
