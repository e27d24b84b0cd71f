"""What a sweep cost: hours by arm and by what became of them, and by setting."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.report.sweep.records import SweepRecords, TrialRecord
from orchestrator.report.sweep.settings import names_of

_WASTED = ("failed", "pruned", "lost", "stopped")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """The hours of some trials.

    Attributes:
        name: what the trials have in common.
        num_trials: how many.
        hours: of all of them.
        wasted_hours: of those that failed, were pruned, lost or stopped.
        tokens: trained.
    """

    name: str
    num_trials: int
    hours: float
    wasted_hours: float
    tokens: float


def costs_by_arm(records: SweepRecords) -> list[Cost]:
    """Of the trials with the spec, of the controls, and of all together when there are both."""
    arms = [(arm, [trial for trial in records.trials if trial.arm == arm]) for arm in ("spec", "control")]
    costs = [_cost("with the spec" if arm == "spec" else "controls", trials) for arm, trials in arms if trials]
    return [*costs, _cost("all", records.trials)] if len(costs) > 1 else costs


def costs_by_state(records: SweepRecords) -> list[Cost]:
    """Of the trials in each state, in the order in which states are first met."""
    states = list(dict.fromkeys(trial.state for trial in records.trials))
    return [_cost(state, [trial for trial in records.trials if trial.state == state]) for state in states]


def costs_by_setting(records: SweepRecords) -> list[Cost]:
    """Of the trials of each setting, whatever became of them, in the order of the sweep."""
    names = names_of(records)
    groups: dict[str, list[TrialRecord]] = {}
    for trial in records.trials:
        groups.setdefault(names.short(trial.arm, trial.setting), []).append(trial)
    return [_cost(name, trials) for name, trials in groups.items()]


def _cost(name: str, trials: Sequence[TrialRecord]) -> Cost:
    return Cost(
        name=name,
        num_trials=len(trials),
        hours=sum(trial.gpu_hours for trial in trials),
        wasted_hours=sum(trial.gpu_hours for trial in trials if trial.state in _WASTED),
        tokens=sum(trial.total_tokens * trial.step / trial.steps for trial in trials if trial.steps),
    )
