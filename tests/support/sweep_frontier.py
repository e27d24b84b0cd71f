"""The frontier of a made-up sweep, by the simplest means: intervals of a fixed width, and the law that its figures were drawn from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from orchestrator.frontier.estimates import Estimate, Frontier, Knee, Limit, MixingLaw, Point, Repetition, SourceLaw
from orchestrator.frontier.trials import Value
from orchestrator.report.sweep.records import TrialRecord

SHARE = "mixture.spec_share"
MAX_FORGETTING = 0.01
UNIQUE_SPEC_TOKENS = 4_000_000
_Kind = tuple[str, tuple[tuple[str, Value], ...]]  # arm and setting


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeUpSource:
    """A source whose held-out loss after training is before (1 + base + reach exp(rate r)) of the spec share r, in nats a token."""

    role: str
    before: float
    base: float
    reach: float
    rate: float

    def change(self, share: float) -> float:
        return self.base + self.reach * math.exp(self.rate * share)


def make_frontier(trials: Sequence[TrialRecord], sources: Mapping[str, MadeUpSource], *, has_law: bool, has_knee: bool) -> Frontier | None:
    """Means over seeds with an interval of a fixed width, the front of these means, and the law that the figures are drawn from."""
    finished = [trial for trial in trials if trial.state == "finished" and trial.uptake is not None]
    groups: dict[_Kind, list[TrialRecord]] = {}
    for trial in sorted(finished, key=lambda trial: (trial.arm, trial.spec_share)):
        groups.setdefault((trial.arm, tuple(trial.setting.items())), []).append(trial)
    if not any(arm == "spec" for arm, _ in groups):
        return None
    general = [name for name, source in sources.items() if source.role == "general"]
    zero = Estimate(value=0.0)
    untrained = replace(_untrained(general, zero), probes=dict.fromkeys(finished[0].probes, zero))
    points = [untrained, *(_point(group, groups) for group in groups.values())]
    points = [replace(point, is_on_front=(on := _is_on_front(point, points)), front_share=0.97 if on else 0.04) for point in points]
    return Frontier(
        points=tuple(points),
        knee=_knee(points) if has_knee else None,
        limit=Limit(max_forgetting=MAX_FORGETTING, spec_share=Estimate(value=0.283, low=0.262, high=0.309), is_open=False),
        law=_law(sources, points) if has_law else None,
        repetition=Repetition(
            uptake_per_doubling=None,
            forgetting_per_doubling=None,
            warnings=(
                "Epochs and spec share rose together, so that repetition cannot be told from the ratio. Vary sweep.unique_spec_tokens.",
            ),
        ),
        num_draws=1000,
        warnings=() if has_knee else ("There is no knee: the front has two points and needs three.",),
    )


def _untrained(general: Sequence[str], zero: Estimate) -> Point:
    return Point(
        arm="untrained",
        setting={},
        trials=(),
        spec_share=0.0,
        spec_epochs=0.0,
        unique_spec_tokens=0.0,
        total_tokens=0.0,
        uptake=zero,
        forgetting=zero,
        forgetting_by_source=dict.fromkeys(general, zero),
    )


def _point(group: Sequence[TrialRecord], groups: Mapping[_Kind, Sequence[TrialRecord]]) -> Point:
    first = group[0]
    same = tuple((key, value) for key, value in first.setting.items() if key != SHARE)
    control = groups.get(("control", same)) if first.arm == "spec" else None
    uptake, forgetting = _uptake(group), _forgetting(group)
    by_source = {name: float(np.mean([trial.forgetting_by_source[name] for trial in group])) for name in first.forgetting_by_source}
    return Point(
        arm=first.arm,
        setting=first.setting,
        trials=tuple(trial.trial_id for trial in group),
        spec_share=first.spec_share,
        spec_epochs=first.spec_epochs,
        unique_spec_tokens=UNIQUE_SPEC_TOKENS if first.spec_share else 0,
        total_tokens=first.total_tokens,
        uptake=_around(uptake, 0.0031 + 0.02 * uptake),
        forgetting=_around(forgetting, 0.0009 + 0.06 * abs(forgetting)),
        forgetting_by_source={name: _around(value, 0.0021) for name, value in by_source.items()},
        uptake_over_control=_around(uptake - _uptake(control), 0.0034) if control else None,
        forgetting_over_control=_around(forgetting - _forgetting(control), 0.0011) if control else None,
        probes={name: _around(float(np.mean([trial.probes[name] for trial in group])), 0.021) for name in first.probes},
    )


def _uptake(group: Sequence[TrialRecord]) -> float:
    return float(np.mean([trial.uptake for trial in group]))


def _forgetting(group: Sequence[TrialRecord]) -> float:
    return float(np.mean([trial.forgetting for trial in group]))


def _around(value: float, half: float) -> Estimate:
    return Estimate(value=value, low=value - half, high=value + 1.1 * half)


def _is_on_front(point: Point, points: Sequence[Point]) -> bool:
    def beats(other: Point) -> bool:
        ours, theirs = (point.uptake.value, -point.forgetting.value), (other.uptake.value, -other.forgetting.value)
        return theirs != ours and all(theirs[i] >= ours[i] for i in (0, 1))

    return not any(beats(other) for other in points)


def _knee(points: Sequence[Point]) -> Knee | None:
    front = sorted((p.uptake.value, p.forgetting.value, index) for index, p in enumerate(points) if p.is_on_front)
    if len(front) < 3:
        return None
    (x0, y0, _), (x1, y1, _) = front[0], front[-1]
    far = [((x - x0) / (x1 - x0) - (y - y0) / (y1 - y0), index) for x, y, index in front]
    best = max(far)[1]
    share = points[best].spec_share
    return Knee(point=best, spec_share=Estimate(value=share, low=share, high=1.75 * share), chosen={front[1][2]: 0.29, best: 0.71})


def _law(sources: Mapping[str, MadeUpSource], points: Sequence[Point]) -> MixingLaw:
    """Of the last line: the shares that were tried with the values of the last point."""
    line = tuple(index for index, point in enumerate(points) if point.trials and _apart_from_share(point) == _apart_from_share(points[-1]))
    shares = np.linspace(0, points[-1].spec_share, 41)
    laws = {
        name: SourceLaw(
            c=source.before * (1 + source.base),
            k=source.before * source.reach,
            t=source.rate,
            rmse=0.0021 * source.before,
            left_out_error=0.0043 * source.before,
            shares=tuple(shares.tolist()),
            losses=tuple((source.before * (1 + source.base + source.reach * np.exp(source.rate * shares))).tolist()),
        )
        for name, source in sources.items()
    }
    warnings = (
        "The spec was passed over up to 5.0 times; the law knows no repetition, so that large shares may look better than they are.",
    )
    return MixingLaw(sources=laws, optimum=Estimate(value=0.312, low=0.271, high=0.366), points=line, warnings=warnings)


def _apart_from_share(point: Point) -> dict[str, Value]:
    return {key: value for key, value in point.setting.items() if key != SHARE}
