"""A sweep's directory: made whole or not at all, with a run directory for each trial, and only ever added to."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from orchestrator.commands.sweeping.designing import Design, Trial
from orchestrator.config.load import dump_config, plain_values
from orchestrator.config.sweep import SweepConfig
from orchestrator.config.validation import validated
from orchestrator.errors import ConfigError, InfrastructureError, RunExistsError
from orchestrator.mixture.plan_file import write_plan
from orchestrator.runs.directory import create_run
from orchestrator.runs.durable import write_whole
from orchestrator.sweep.directory import SweepDirectory, add_trials, enter_command, read_trials
from orchestrator.sweep.identity import frame


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
        content = {"overrides": list(design.fixed), "sweep": plain_values(design.sweep), "run": design.values}
        write_whole(sweep.config, yaml.safe_dump(content, sort_keys=False).encode())
        enter_command(sweep, words)
    except OSError as error:
        raise InfrastructureError(f"cannot write {sweep.root}: {error}. Make room, or set sweep.dir to another directory.") from error
    return sweep


def read_design(sweep: SweepDirectory) -> Design:
    """The design that a sweep was made or last added to by.

    Raises:
        ConfigError: it is no sweep.
    """
    content = _read(sweep)
    return Design(content["run"], validated(SweepConfig, content["sweep"], "sweep"), content["overrides"])


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
    stored, wanted = frame(_read(sweep)["run"]), frame(design.values)
    if differs := [key for key in wanted if stored.get(key) != wanted[key]]:
        raise RunExistsError(
            f"{sweep.root} is a sweep with another {differs[0]}, so that its trials and these cannot be compared. Set sweep.dir or "
            f"run.name to a new one; nothing was changed."
        )


def _read(sweep: SweepDirectory) -> dict[str, Any]:
    try:
        content: dict[str, Any] = yaml.safe_load(sweep.config.read_text(encoding="utf-8"))
        return {key: content[key] for key in ("overrides", "sweep", "run")}
    except FileNotFoundError:
        raise ConfigError(f"{sweep.root} is not a sweep: it has no sweep.yaml. `midtrain sweep` makes one.") from None
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError) as error:
        raise ConfigError(f"{sweep.config} is damaged ({type(error).__name__}: {error}). Restore it, or make a new sweep.") from None
