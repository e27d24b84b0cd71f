"""A sweep's directory: made whole or not at all, with a run directory for each trial, and only ever added to."""

from collections.abc import Callable, Sequence
from pathlib import Path

from orchestrator.commands.sweeping.designing import Design, Trial
from orchestrator.config.load import dump_config
from orchestrator.errors import InfrastructureError, RunExistsError
from orchestrator.mixture.plan_file import write_plan
from orchestrator.runs.directory import create_run
from orchestrator.sweep.directory import SweepDirectory, add_trials, enter_command, read_trials
from orchestrator.sweep.identity import frame
from orchestrator.sweep.stored import read_stored, write_stored


def make_sweep(design: Design, words: Sequence[str]) -> SweepDirectory:
    """Make a sweep's directory, or go on with the one that is there.

    Args:
        design: of the sweep.
        words: the overrides of the command.

    Raises:
        RunExistsError: there is something else, or a sweep whose trials cannot be compared with these.
        InfrastructureError: it cannot be written.
    """
    sweep = design.directory
    if sweep.root.exists() and not sweep.exists:
        raise RunExistsError(f"{sweep.root} exists and is not a sweep. Set sweep.dir or run.name to a new one; nothing was changed.")
    if sweep.exists:
        _refuse_other(sweep, design)
    try:
        sweep.trials.mkdir(parents=True, exist_ok=True)
        write_stored(sweep, design.stored)
        enter_command(sweep, words)
    except OSError as error:
        raise InfrastructureError(f"cannot write {sweep.root}: {error}. Make room, or set sweep.dir to another directory.") from error
    return sweep


def add(sweep: SweepDirectory, trials: Sequence[Trial]) -> list[Trial]:
    """Make the run directories of trials that are new to a sweep, and enter them.

    Returns:
        The new ones.
    """
    known = {entry.trial_id for entry in read_trials(sweep)}
    new = [trial for trial in trials if trial.entry.trial_id not in known]
    for trial in new:
        run = sweep.run(trial.entry.trial_id)
        if not run.plan.exists():
            create_run(run.root, config=dump_config(trial.config), write_plan=_plan_writer(trial))
    add_trials(sweep, [trial.entry for trial in new])
    return new


def _plan_writer(trial: Trial) -> Callable[[Path], None]:
    return lambda path: write_plan(trial.plan, path)


def _refuse_other(sweep: SweepDirectory, design: Design) -> None:
    stored, wanted = frame(read_stored(sweep).values), frame(design.stored.values)
    if differs := [key for key in wanted if stored.get(key) != wanted[key]]:
        raise RunExistsError(
            f"{sweep.root} is a sweep with another {differs[0]}, so that its trials and these cannot be compared. Set sweep.dir or "
            f"run.name to a new one; nothing was changed."
        )
