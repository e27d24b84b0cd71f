"""What comes out of a frontier: points with intervals, the Pareto set, the knee, limits, fits. All intervals are of 90 %."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.frontier.trials import Value

COVERAGE = 0.9


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A value and its interval of 90 % over held-out documents and seeds; the ends are none where nothing says how sure it is."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A setting of a sweep, over its seeds.

    Attributes:
        arm: `spec` or `control`, or `untrained`: the base model, at the origin.
        setting: what the sweep varies, without the seed.
        trials: the ids of its trials, in the order of their seeds.
        spec_share, spec_epochs, unique_spec_tokens, total_tokens: the means over its trials.
        uptake: 1 - after / before of the held-out loss, the mean over the spec's sources.
        forgetting: after / before - 1, the mean over the general sources; below zero, they are predicted better than by the base model.
        forgetting_by_source: of each general source.
        uptake_over_control, forgetting_over_control: less those of the control with the same tokens and seeds; none without one.
        is_on_front: whether no other point is better in one and at least as good in the other: more uptake, less forgetting.
        front_share: the share of bootstrap draws in which that is so.
        probes: of each, how much larger the share of items that are answered right became.
    """

    arm: str
    setting: Mapping[str, Value]
    trials: tuple[str, ...]
    spec_share: float
    spec_epochs: float
    unique_spec_tokens: float
    total_tokens: float
    uptake: Estimate
    forgetting: Estimate
    forgetting_by_source: Mapping[str, Estimate]
    uptake_over_control: Estimate | None = None
    forgetting_over_control: Estimate | None = None
    is_on_front: bool = False
    front_share: float = 0.0
    probes: Mapping[str, Estimate] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Knee:
    """Where more uptake begins to cost most: the point of the front that is farthest from the line between its ends.

    Attributes:
        point: its index among the frontier's points.
        spec_share: of the knee, over the draws that have one.
        chosen: index of a point -> the share of draws in which it was the knee; less than 1 in all where some have none.
    """

    point: int
    spec_share: Estimate
    chosen: Mapping[int, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """The largest spec share up to which forgetting stays at most `max_forgetting`, between the shares that were tried.

    Attributes:
        max_forgetting: as a share of the base model's loss.
        spec_share: of the limit; none when even the smallest share that was tried forgets more.
        is_open: whether the largest share that was tried does not reach the limit, so that the true one may lie beyond.
        has_control: whether the smallest share is the 0 of a control.
    """

    max_forgetting: float
    spec_share: Estimate | None
    is_open: bool
    has_control: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceLaw:
    """L = c + k exp(t r) of one source over the spec share r (Ye et al., "Data Mixing Laws", 2024).

    Attributes:
        c, k, t: the parameters, in nats a token, nats a token, and one over share.
        rmse: of the settings' means about the curve, in nats a token.
        left_out_error: the root mean square of each setting's error when it is left out of the fit; none with too few settings.
        shares, losses: the curve, for a picture.
    """

    c: float
    k: float
    t: float
    rmse: float
    left_out_error: float | None
    shares: tuple[float, ...]
    losses: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class MixingLaw:
    """The fits of all sources, and the spec share at which uptake less forgetting is largest.

    Attributes:
        sources: by name.
        optimum: the share where the fitted mean relative loss of the spec's sources and that of the general ones sum to the least.
        points: what it was fitted to, as indices of the frontier's points.
        warnings: why it should be trusted less, a sentence each.
    """

    sources: Mapping[str, SourceLaw]
    optimum: Estimate | None
    points: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Repetition:
    """What passing over the spec twice as often does at the same share: the effect of repetition, separate from the ratio.

    Attributes:
        uptake_per_doubling, forgetting_per_doubling: of the spec's epochs; none when epochs and share were not varied apart.
        warnings: why not, or why it should be trusted less.
    """

    uptake_per_doubling: Estimate | None
    forgetting_per_doubling: Estimate | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Frontier:
    """All of it.

    Attributes:
        points: `untrained` first, then controls, then the spec's by share.
        knee, limit, law, repetition: none where there are too few points for one; `warnings` says so.
        most_uptake: index of a point of the spec -> the share of draws in which it takes up most of all such.
        num_draws: of the bootstrap.
        warnings: a sentence each.
    """

    points: tuple[Point, ...]
    knee: Knee | None = None
    limit: Limit | None = None
    law: MixingLaw | None = None
    repetition: Repetition | None = None
    most_uptake: Mapping[int, float] = field(default_factory=dict)
    num_draws: int = 0
    warnings: tuple[str, ...] = field(default=())
