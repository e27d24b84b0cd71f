"""`midtrain launch`: a run is planned, checked against the platform, made, and submitted."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.commands.console import Console
from orchestrator.commands.planning import check_planned, plan_run
from orchestrator.commands.submitting import Candidate, How, Where, submit
from orchestrator.config.load import dump_config, load_config, read_config
from orchestrator.config.schema import Config
from orchestrator.errors import ConfigError, RunExistsError
from orchestrator.mixture.plan_file import read_plan
from orchestrator.platforms.profiles import changed_settings, load_settings, split_overrides
from orchestrator.platforms.submissions import kept_settings, newest_submission
from orchestrator.runs.directory import RunDirectory


def launch(platform: str, overrides: Sequence[str], console: Console, *, how: How = How.SUBMIT) -> RunDirectory:
    """Submit a run.

    Args:
        platform: local, slurm or kubernetes.
        overrides: of the run, and of the launch as `launch.key=value`.
        console: told what is done.
        how: whether it is submitted, or made ready for somebody else to submit, or only printed.

    Returns:
        The run.

    Raises:
        OrchestratorError: nothing was submitted.
    """
    of_run, of_launch = split_overrides(overrides)
    profile, settings = load_settings(platform, of_launch)
    candidate = _candidate(load_config(of_run))
    where = Where(name=candidate.config.run.name, platform=platform, profile=profile, settings=settings)
    submit([candidate], where, console, how=how)
    return candidate.run


def relaunch(run: RunDirectory, overrides: Sequence[str], console: Console, *, platform: str | None = None, how: How = How.SUBMIT) -> None:
    """Submit a run again, to where it was submitted last or to another platform; attach to it if it is there.

    Args:
        run: its directory.
        overrides: `launch.key=value`, in the place of what the last submission had.
        console: told what is done.
        platform: to go to; none: where it was.
        how: whether a person wants it, or only midtrain itself.
    """
    config, newest = read_config(run.config), newest_submission(run)
    of_run, of_launch = split_overrides(overrides)
    if of_run:
        raise ConfigError(f"{of_run[0]}: a run's own configuration is in {run.config}, and only launch.… can be given here. Leave it out.")
    if newest is None and platform is None:
        raise ConfigError(f"{run.root} was never launched. Say where to: --on slurm, --on kubernetes, --on local, or --on here.")
    is_named, platform = platform is not None, platform or (newest.platform if newest else "")
    if newest and newest.platform == platform and not any(word.startswith("profile=") for word in of_launch):
        profile, settings = newest.profile, changed_settings(kept_settings(run, newest), of_launch)
    else:
        profile, settings = load_settings(platform, of_launch)
    where = Where(name=config.run.name, platform=platform, profile=profile, settings=settings, is_named=is_named)
    submit([existing(run, config)], where, console, how=how)


def _candidate(config: Config) -> Candidate:
    assert config.run.dir is not None
    run = RunDirectory(Path(config.run.dir))
    if not run.root.exists():
        return Candidate(run=run, config=config, plan=plan_run(config), exists=False)
    if not run.config.exists():
        raise RunExistsError(f"{run.root} exists and is not a run. Set run.dir or run.name to a new one; nothing was changed.")
    if run.config.read_text(encoding="utf-8") != dump_config(config):
        raise RunExistsError(
            f"{run.root} holds a run with another config. Set run.name to a new name, or `midtrain resume {run.root}`; nothing was changed."
        )
    return existing(run, config)


def existing(run: RunDirectory, config: Config) -> Candidate:
    """A run whose directory is made.

    Raises:
        OrchestratorError: its plan does not follow from its configuration and the prepared sources any more.
    """
    plan = read_plan(run.plan)
    check_planned(run, config, plan)
    newest = newest_submission(run)
    config = replace(config, run=replace(config.run, dir=str(run.root)))
    return Candidate(run=run, config=config, plan=plan, exists=True, submissions=newest.number if newest else 0)
