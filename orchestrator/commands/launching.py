"""`midtrain launch`: a run, or several, are planned, checked against the platform, made, and submitted."""

import re
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


def launch(
    platform: str, overrides: Sequence[str], console: Console, *, vary: str | None = None, how: How = How.SUBMIT
) -> list[RunDirectory]:
    """Submit a run, or one for each value of a key.

    Args:
        platform: local, slurm or kubernetes.
        overrides: of the run, and of the launch as `launch.key=value`.
        console: told what is done.
        vary: `key=value,value`: a run for each, as one array where the platform has them.
        how: whether it is submitted, or made ready for somebody else to submit, or only printed.

    Returns:
        The runs.

    Raises:
        OrchestratorError: nothing was submitted.
    """
    of_run, of_launch = split_overrides(overrides)
    profile, settings = load_settings(platform, of_launch)
    configs = _configs(of_run, vary)
    if platform == "local" and len(configs) > 1:
        raise ConfigError(f"--vary {vary}: {len(configs)} runs at once are for a cluster. Launch them one by one, or on another platform.")
    candidates = [_candidate(config) for config in configs]
    if len({config.scheduling.world_size for config in configs}) > 1:
        raise ConfigError(f"--vary {vary}: the runs of one submission have the same world size. Launch those of another one by themselves.")
    name = candidates[0].config.run.name if vary is None else load_config(of_run).run.name
    submit(candidates, Where(name=name, platform=platform, profile=profile, settings=settings), console, how=how)
    return [candidate.run for candidate in candidates]


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
    submit([_existing(run, config)], where, console, how=how)


def _configs(overrides: Sequence[str], vary: str | None) -> list[Config]:
    if vary is None:
        return [load_config(overrides)]
    key, _, values = vary.partition("=")
    if not values or not key:
        raise ConfigError(f"--vary {vary}: write it as key=value,value, for example mixture.spec_share=0.05,0.1.")
    return [_variant(load_config([*overrides, f"{key}={value}"]), key, value, overrides) for value in values.split(",")]


def _variant(config: Config, key: str, value: str, overrides: Sequence[str]) -> Config:
    """The configuration of one value, named after it, in a directory of its own beside the others."""
    assert config.run.dir is not None
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{config.run.name}-{key.rpartition('.')[2]}-{value}")
    own = [f"run.name={name}", f"run.dir={Path(config.run.dir).with_name(name)}"]
    return load_config([*overrides, f"{key}={value}", *own])


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
    return _existing(run, config)


def _existing(run: RunDirectory, config: Config) -> Candidate:
    plan = read_plan(run.plan)
    check_planned(run, config, plan)
    newest = newest_submission(run)
    config = replace(config, run=replace(config.run, dir=str(run.root)))
    return Candidate(run=run, config=config, plan=plan, exists=True, submissions=newest.number if newest else 0)
