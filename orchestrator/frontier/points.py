"""The points of a frontier: settings with their coordinates, what they gained over their controls, and which of them are worth having."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from orchestrator.frontier.draws import Draws, estimate
from orchestrator.frontier.estimates import Estimate, Knee, Point
from orchestrator.frontier.pareto import Flags, find_knees, pareto_set
from orchestrator.frontier.settings import Group
from orchestrator.frontier.trials import Floats, TrialResult


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Plane:
    """Where all points lie, the untrained model first, at (0, 0).

    Attributes:
        uptake, forgetting: (R, P) of P points in R rows of draws.
        is_on_front: (R, P) whether each is in its row's Pareto set.
    """

    uptake: Floats
    forgetting: Floats
    is_on_front: Flags


def place(groups: Sequence[Group], draws: Draws) -> Plane:
    """Put the untrained model and all settings into the plane."""
    origin = np.zeros(len(draws.losses))
    uptake = np.stack([origin, *(draws.uptake(group.members) for group in groups)], axis=1)
    forgetting = np.stack([origin, *(draws.forgetting(group.members) for group in groups)], axis=1)
    return Plane(uptake=uptake, forgetting=forgetting, is_on_front=pareto_set(uptake, forgetting))


def make_points(trials: Sequence[TrialResult], groups: Sequence[Group], draws: Draws, plane: Plane) -> list[Point]:
    """The untrained model, and a point for each setting."""
    points = [_untrained(draws), *(_point(trials, group, draws) for group in groups)]
    shares = plane.is_on_front[1:].mean(axis=0).tolist()
    return [
        replace(point, is_on_front=bool(on_front), front_share=share)
        for point, on_front, share in zip(points, plane.is_on_front[0], shares, strict=True)
    ]


def find_knee(points: Sequence[Point], plane: Plane, draws: Draws) -> Knee | None:
    """The knee of the front as measured, and those of the fronts in draws; none when it has none."""
    knees = find_knees(plane.uptake, plane.forgetting, plane.is_on_front)
    if knees[0] < 0:
        return None
    drawn = knees[1:][knees[1:] >= 0]
    numbers, counts = np.unique(drawn, return_counts=True)
    shares = np.array([point.spec_share for point in points])[np.concatenate([knees[:1], drawn])]
    return Knee(
        point=int(knees[0]),
        spec_share=estimate(shares, may_agree=draws.is_drawn) if len(drawn) else Estimate(value=float(shares[0])),
        chosen=dict(zip(numbers.tolist(), (counts / (len(knees) - 1)).tolist(), strict=True)),
    )


def find_most_uptake(points: Sequence[Point], plane: Plane) -> dict[int, float]:
    """Index of a point of the spec -> the share of draws in which it takes up most of all such."""
    spec = np.array([number for number, point in enumerate(points) if point.arm == "spec"], dtype=np.int64)
    if not len(spec):
        return {}
    numbers, counts = np.unique(spec[plane.uptake[1:, spec].argmax(axis=1)], return_counts=True)
    return dict(zip(numbers.tolist(), (counts / counts.sum()).tolist(), strict=True))


def _untrained(draws: Draws) -> Point:
    nowhere = Estimate(value=0.0)
    return Point(
        arm="untrained",
        setting={},
        trials=(),
        spec_share=0.0,
        spec_epochs=0.0,
        unique_spec_tokens=0.0,
        total_tokens=0.0,
        uptake=nowhere,
        forgetting=nowhere,
        forgetting_by_source=dict.fromkeys(draws.general, nowhere),
        probes=dict.fromkeys(draws.probes, nowhere),
    )


def _point(trials: Sequence[TrialResult], group: Group, draws: Draws) -> Point:
    by_source = draws.of(group.members)[:, ~draws.is_spec] - 1
    paired = [list(side) for side in zip(*group.controls, strict=True)]
    return Point(
        arm=group.arm,
        setting=group.setting,
        trials=tuple(trials[number].trial_id for number in group.members),
        spec_share=group.spec_share,
        spec_epochs=group.spec_epochs,
        unique_spec_tokens=group.unique_spec_tokens,
        total_tokens=group.total_tokens,
        uptake=estimate(draws.uptake(group.members)),
        forgetting=estimate(draws.forgetting(group.members)),
        forgetting_by_source={name: estimate(rows) for name, rows in zip(draws.general, by_source.T, strict=True)},
        uptake_over_control=estimate(draws.uptake(paired[0]) - draws.uptake(paired[1])) if paired else None,
        forgetting_over_control=estimate(draws.forgetting(paired[0]) - draws.forgetting(paired[1])) if paired else None,
        probes={name: estimate(rows) for name, rows in zip(draws.probes, draws.changes_of(group.members).T, strict=True)},
    )
