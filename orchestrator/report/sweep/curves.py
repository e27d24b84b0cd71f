"""The curves of a sweep's trials as the page's script takes them, and which are shown at first."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from orchestrator.frontier.estimates import Frontier
from orchestrator.frontier.trials import Floats, Ints
from orchestrator.report.looks import ROOM, step_layout
from orchestrator.report.sweep.findings import best_of
from orchestrator.report.sweep.records import Curves, SweepRecords, TrialRecord
from orchestrator.report.sweep.settings import Names, control_of, front_of, names_of

MOST_SHOWN = 8  # trials at a time


def curve_values(records: SweepRecords) -> dict[str, Any]:
    """What the script draws curves from.

    Returns:
        `sources`, in order; `trials`, each with its name, the number of its setting among all, and its curves: the numbers of its
        steps in `steps` and, by source, the change of the held-out loss in percent and the training loss in nats a token; `shown`: the
        trials at first; the plotly `layouts` of the two charts.
    """
    names, steps = names_of(records), _Steps()
    sources = list(records.roles)
    groups: dict[str, int] = {}
    trials = []
    for trial in records.trials:
        setting = names.full(trial.arm, trial.setting)
        group = groups.setdefault(setting, len(groups))
        trials.append(_trial(trial, names, group, None if trial.curves is None else _curves(trial.curves, sources, steps)))
    last = max((trial.step for trial in records.trials), default=0) or 1
    return {
        "sources": sources,
        "trials": trials,
        "steps": steps.series,
        "shown": first_shown(records),
        "most": MOST_SHOWN,
        "layouts": [step_layout(last, ticksuffix=" %", zeroline=True) | {"margin": ROOM}, step_layout(last) | {"margin": ROOM}],
    }


class _Steps:
    """Series of steps, each kept once, as most trials share them."""

    def __init__(self) -> None:
        self.series: list[list[int]] = []
        self._numbers: dict[bytes, int] = {}

    def number_of(self, steps: Ints) -> int:
        number = self._numbers.setdefault(steps.tobytes(), len(self.series))
        if number == len(self.series):
            self.series.append(steps.tolist())
        return number


def _trial(trial: TrialRecord, names: Names, group: int, curves: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"id": trial.trial_id, "name": f"{names.short(trial.arm, trial.setting)}, seed {trial.seed}", "group": group, "curves": curves}


def _curves(curves: Curves, sources: Sequence[str], steps: _Steps) -> dict[str, Any]:
    return {
        "heldoutSteps": steps.number_of(curves.heldout_steps),
        "heldout": [_changes(curves.heldout.get(source)) for source in sources],
        "steps": steps.number_of(curves.steps),
        "losses": [_rounded(curves.losses.get(source), 4) for source in sources],
    }


def _changes(losses: Floats | None) -> list[float | None] | None:
    """How far losses are from the first of them, in percent."""
    return None if losses is None or len(losses) == 0 else _rounded(100 * (losses / losses[0] - 1), 3)


def _rounded(values: Floats | None, digits: int) -> list[float | None] | None:
    """Values as the page carries them, none where there is no number; none at all where there are no values."""
    if values is None or not np.isfinite(values).any():
        return None
    return [round(value, digits) if np.isfinite(value) else None for value in values.tolist()]


def first_shown(records: SweepRecords) -> list[int]:
    """The trials whose curves are shown at first: of the ends of the front, the knee's control and the knee, which is last to make room.

    Returns:
        Numbers of trials, of as many seeds of each setting as there is room for; those of one setting lie together.
    """
    if records.frontier is None:
        return [number for number, trial in enumerate(records.trials) if trial.curves is not None][:MOST_SHOWN]
    with_curves = {trial.trial_id: number for number, trial in enumerate(records.trials) if trial.curves is not None}
    settings = [[with_curves[t] for t in trials if t in with_curves] for trials in _first_settings(records.frontier)]
    settings = [trials for trials in settings if trials]
    return [number for trials in settings for number in trials[: MOST_SHOWN // len(settings)]]


def _first_settings(frontier: Frontier) -> list[tuple[str, ...]]:
    points, best = frontier.points, best_of(frontier)
    front = [points[index] for index in front_of(frontier) if points[index].arm == "spec"]
    chosen = [] if best is None else [control_of(points[best], points), points[best]]
    ends = [point for point in [*front[:1], *front[-1:]] if point not in chosen]
    return list(dict.fromkeys(point.trials for point in [*ends, *chosen] if point and point.trials))
