"""`midtrain launch PLATFORM --sweep`: the trials of a sweep as jobs: one array where the platform has them, else a job each."""

from collections.abc import Sequence

from orchestrator.commands.console import Console
from orchestrator.commands.launching import existing
from orchestrator.commands.submitting import Candidate, How, Where, submit
from orchestrator.commands.sweeping.costing import show_cost
from orchestrator.commands.sweeping.designing import Design, Trial
from orchestrator.commands.sweeping.making import add, only_command, write_sweep
from orchestrator.commands.sweeping.showing import show_trials
from orchestrator.config.load import plain_values, read_config
from orchestrator.config.varied import load_sweep
from orchestrator.errors import ConfigError
from orchestrator.platforms.choosing import platform_named
from orchestrator.platforms.profiles import load_settings, split_overrides
from orchestrator.runs.attempts import read_status
from orchestrator.runs.directory import RunDirectory
from orchestrator.sweep.settings import wishes_of
from orchestrator.sweep.stored import Stored


def launch_sweep(platform: str, overrides: Sequence[str], console: Console, *, how: How = How.SUBMIT) -> list[RunDirectory]:
    """Submit the trials of a sweep that are neither finished nor alive.

    Args:
        platform: slurm or kubernetes.
        overrides: of the sweep, and of the launch as `launch.key=value`.
        console: told what is done.
        how: whether they are submitted.

    Returns:
        The runs of all its trials.

    Raises:
        OrchestratorError: nothing was submitted.
    """
    of_run, of_launch = split_overrides(overrides)
    profile, settings = load_settings(platform, of_launch)
    values, sweep, fixed = load_sweep(of_run)
    _refuse_watched(platform, sweep.sampler is not None, sweep.early_stopping is not None)
    design = Design(Stored(values=values, sweep=sweep, overrides=fixed))
    trials = design.trials(wishes_of(design.sweep))
    aside = console.aside()
    show_trials(trials, design, aside)
    if left := [trial for trial in trials if not _is_finished(trial)]:
        show_cost(trials, left, design, aside)
    if platform_named(platform, settings).has_arrays:
        _refuse_other_shape(left, design)
    if how is not How.PRINT:
        with only_command(design.directory):
            write_sweep(design.directory, design, of_run)
            add(design.directory, trials)
    candidates = [_candidate(trial) for trial in trials]
    where = Where(name=design.directory.root.name, platform=platform, profile=profile, settings=settings)
    submit(candidates, where, console, how=how)
    return [candidate.run for candidate in candidates]


def _is_finished(trial: Trial) -> bool:
    return read_status(RunDirectory(trial.run)).state == "finished"


def _refuse_other_shape(left: Sequence[Trial], design: Design) -> None:
    """The trials of an array have one shape, and one that is made keeps what it was made with."""
    wanted = plain_values(design.base.scheduling)
    for config in [path for trial in left if (path := RunDirectory(trial.run).config).exists()]:
        before = plain_values(read_config(config).scheduling)
        if key := next((key for key in wanted if wanted[key] != before[key]), None):
            raise ConfigError(
                f"{config} has scheduling.{key}={before[key]}, as the trial was made, and new ones would have {wanted[key]}, but an array "
                f"has one shape. Give scheduling.{key}={before[key]}, or change it in the file of each such trial; nothing was changed."
            )


def _candidate(trial: Trial) -> Candidate:
    run = RunDirectory(trial.run)
    if run.config.exists():  # as it was made: where it runs may have changed since, what it trains has not
        return existing(run, read_config(run.config))
    return Candidate(run=run, config=trial.config, plan=trial.plan, exists=False)


def _refuse_watched(platform: str, has_sampler: bool, stops_early: bool) -> None:
    """What needs a command that looks on cannot be left to a queue of jobs."""
    if platform == "local":
        raise ConfigError("a sweep here, or on the cluster that RAY_ADDRESS names, is `midtrain sweep`. Launch on slurm or kubernetes.")
    for key, is_given in (("sampler", has_sampler), ("early_stopping", stops_early)):
        if is_given:
            raise ConfigError(
                f"sweep.{key} needs a command that sees trials as they go on, and jobs of a queue have none. Run `midtrain sweep` on a Ray "
                f"cluster (RAY_ADDRESS), or set sweep.{key}=null."
            )
