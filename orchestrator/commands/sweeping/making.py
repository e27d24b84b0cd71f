"""A sweep's directory: made whole or not at all, with a run directory for each trial, and only ever added to."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from orchestrator.commands.sweeping.designing import Design, Trial
from orchestrator.config.load import dump_config
from orchestrator.errors import InfrastructureError, RunExistsError
from orchestrator.mixture.plan_file import write_plan
from orchestrator.runs.directory import create_run
from orchestrator.runs.locks import only_holder
from orchestrator.sweep.directory import SweepDirectory, add_trials, enter_command, read_trials
from orchestrator.sweep.identity import frame
from orchestrator.sweep.stored import read_stored, write_stored


@contextmanager
def only_command(sweep: SweepDirectory) -> Iterator[None]:
    """Hold a sweep, whose directory is made if need be, while a command changes it.

    Raises:
        RunExistsError: there is something else, or another command holds it.
        InfrastructureError: it cannot be made.
    """
    if sweep.root.exists() and not sweep.exists and not _is_only_begun(sweep):
        raise RunExistsError(f"{sweep.root} exists and is not a sweep. Set sweep.dir or run.name to a new one; nothing was changed.")
    try:
        sweep.trials.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InfrastructureError(f"cannot make {sweep.root}: {error}. Free the path, or set sweep.dir to another.") from error
    with only_holder(sweep.lock, RunExistsError(f"{sweep.root} is at work already. Watch it with: midtrain status {sweep.root}")):
        sweep.stop_request.unlink(missing_ok=True)  # an earlier command's; from now on it is this one that is asked
        yield


def _is_only_begun(sweep: SweepDirectory) -> bool:
    """Whether there is nothing but what a command leaves that was killed before it had written sweep.yaml."""
    if not sweep.root.is_dir():
        return False
    names = {path.name for path in sweep.root.iterdir() if not path.name.startswith(f".{sweep.config.name}.partial-")}
    return not names - {sweep.lock.name, sweep.trials.name, sweep.stop_request.name}


def write_sweep(sweep: SweepDirectory, design: Design, words: Sequence[str]) -> None:
    """Write what a sweep is made of, or is added to by. The caller holds it.

    Args:
        sweep: its directory.
        design: of it.
        words: the overrides of the command.

    Raises:
        RunExistsError: it has trials that cannot be compared with these.
        InfrastructureError: it cannot be written.
    """
    if sweep.exists:
        _refuse_other(sweep, design)
    try:
        write_stored(sweep, design.stored)
        enter_command(sweep, words)
    except OSError as error:
        raise InfrastructureError(f"cannot write {sweep.root}: {error}. Make room, or set sweep.dir to another directory.") from error


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
