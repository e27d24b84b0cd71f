"""A sweep's directory: made whole or not at all, with a run directory for each trial, and only ever added to."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from orchestrator.commands.sweeping.designing import Design, Trial
from orchestrator.config.load import config_values, dump_config
from orchestrator.config.schema import Config
from orchestrator.config.validation import validated
from orchestrator.errors import InfrastructureError, RunExistsError
from orchestrator.mixture.plan_file import write_plan
from orchestrator.runs.directory import create_run
from orchestrator.runs.locks import only_holder
from orchestrator.sweep.comparing import first_difference, made_of
from orchestrator.sweep.directory import SweepDirectory, add_trials, enter_command, read_trials
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
        refuse_other(sweep, design)
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


def refuse_other(sweep: SweepDirectory, design: Design) -> None:
    """Refuse to add trials that would be taken for others of the same setting, or that cannot be compared.

    Raises:
        RunExistsError: the sweep is another one.
    """
    stored, ours = read_stored(sweep), design.stored
    if set(stored.keys) != set(ours.keys):
        left_out = [key for key in stored.keys if key not in ours.keys]
        one_value = f"One more value of a key is written {left_out[0]}='choice(VALUE)'; for" if left_out else "For"
        raise RunExistsError(
            f"{sweep.root} is a sweep with another set of varied keys, {', '.join(stored.keys) or 'none'}, and these trials vary "
            f"{', '.join(ours.keys) or 'none'}. {one_value} other keys set sweep.dir or run.name to a new one; nothing was changed."
        )
    before, wanted = (made_of(config_values(validated(Config, one.values)), one.sweep) for one in (stored, ours))
    if (key := first_difference(before, wanted)) is not None:
        raise RunExistsError(
            f"{sweep.root} is a sweep with another {key}: {before.get(key)!r}, and here {wanted.get(key)!r}, so that its trials and these "
            f"cannot be compared. Vary it, or set sweep.dir or run.name to a new one; nothing was changed."
        )
