"""The trials of a sweep, one by one: the rows of their table, and what failed and why."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.report.frame import NONE
from orchestrator.report.sweep.cells import Cell, setting_cell
from orchestrator.report.sweep.quantities import hours_in_words
from orchestrator.report.sweep.records import SweepRecords, TrialRecord
from orchestrator.report.wording import percent

_ENDED = ("failed", "lost", "stopped", "unknown")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRow:
    """A trial's row.

    Attributes:
        number: of the trial among all.
        trial: itself.
        settings: a cell for each varied key.
        progress, uptake, forgetting, hours: cells.
        has_curves: whether they can be shown.
    """

    number: int
    trial: TrialRecord
    settings: Sequence[Cell]
    progress: Cell
    uptake: Cell
    forgetting: Cell
    hours: Cell
    has_curves: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Trials that ended with the same message.

    Attributes:
        message: the reason of their last stop.
        trials: their ids.
        steps: at which they ended.
        hours: that they took.
    """

    message: str
    trials: Sequence[str]
    steps: Sequence[int]
    hours: float


def trial_rows(records: SweepRecords) -> list[TrialRow]:
    """The table of all trials, in the order in which they were added."""
    most_hours = max((trial.gpu_hours for trial in records.trials), default=0.0)
    return [_row(number, trial, records.keys, most_hours) for number, trial in enumerate(records.trials)]


def states_of(records: SweepRecords) -> list[str]:
    """The states that trials are in, in the order in which they are first met."""
    return list(dict.fromkeys(trial.state for trial in records.trials))


def failures_by_class(records: SweepRecords) -> dict[str, list[Failure]]:
    """Trials that failed, were lost or stopped, or are unknown: class of the reason -> those with the same message; the most first."""
    groups: dict[tuple[str, str], list[TrialRecord]] = {}
    for trial in records.trials:
        if trial.state in _ENDED:
            group = (trial.reason_class or f"{trial.state}, class not known", trial.reason or "It left no reason.")
            groups.setdefault(group, []).append(trial)
    classes: dict[str, list[Failure]] = {}
    for (reason_class, message), trials in sorted(groups.items(), key=lambda item: -len(item[1])):
        classes.setdefault(reason_class, []).append(_failure(message, trials))
    return classes


def _failure(message: str, trials: Sequence[TrialRecord]) -> Failure:
    return Failure(
        message=message,
        trials=[trial.trial_id for trial in trials],
        steps=sorted({trial.step for trial in trials}),
        hours=sum(trial.gpu_hours for trial in trials),
    )


def _row(number: int, trial: TrialRecord, keys: Sequence[str], most_hours: float) -> TrialRow:
    return TrialRow(
        number=number,
        trial=trial,
        settings=[setting_cell(key, trial.setting) for key in keys],
        progress=Cell(f"{trial.step:,} of {trial.steps:,}", trial.step),
        uptake=_share(trial.uptake),
        forgetting=_share(trial.forgetting),
        hours=Cell(hours_in_words(trial.gpu_hours, most_hours), round(trial.gpu_hours, 4)),
        has_curves=trial.curves is not None,
    )


def _share(share: float | None) -> Cell:
    return Cell(NONE, None) if share is None else Cell(percent(share, 2), float(f"{share:.5g}"))
