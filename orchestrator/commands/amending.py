"""`midtrain amend`: another mixture from a later step on."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace

from orchestrator.checkpoints.store import committed_checkpoints
from orchestrator.commands.planning import check_lengths, checked_supplies, mixture_request, stage_wishes
from orchestrator.config.load import dump_config, read_config
from orchestrator.config.schema import Config
from orchestrator.errors import ConfigError
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.plan_file import read_plan, write_plan
from orchestrator.mixture.planning import amend_plan, amended
from orchestrator.runs.attempts import only_attempt
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.durable import write_whole


def amend(run: RunDirectory, overrides: Sequence[str], *, from_step: int) -> tuple[Config, Plan]:
    """Change a run's mixture from a step on, in its plan.json and config.yaml; what they were is kept below RUN/amendments.

    Args:
        run: not running now.
        overrides: keys of `mixture` and `sources`, as `key=value`; they hold for what is left of the run.
        from_step: the first step that changes, counted from 1.

    Returns:
        The run's new configuration and plan.

    Raises:
        OrchestratorError: there is no such plan, or the step is trained already; nothing was changed.
    """
    with only_attempt(run):
        old_config, old = read_config(run.config), read_plan(run.plan)
        config = read_config(run.config, overrides)
        _refuse_other_changes(old_config, config)
        _refuse_trained(run, from_step)
        plan = amend_plan(
            old,
            checked_supplies(config),
            stage_wishes(config.mixture),
            from_step=from_step,
            total_tokens=config.mixture.total_tokens,
            request=mixture_request(config),
        )
        check_lengths(config, plan.steps)
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        plan = amended(plan, old, from_step=from_step, at=moment, changes=overrides)
        _keep(run, len(plan.amendments))
        write_plan(plan, run.plan)
        write_whole(run.config, dump_config(config).encode())
    return config, plan


def _refuse_other_changes(old: Config, new: Config) -> None:
    """An amendment is of the mixture; sources that the plan knows keep their text."""
    if replace(new, mixture=old.mixture, sources=old.sources) != old:
        raise ConfigError("an amendment changes mixture and sources only. Other keys are set in the run's config.yaml before a resume.")
    for name, source in old.sources.items():
        if name not in new.sources or replace(new.sources[name], weight=source.weight) != source:
            raise ConfigError(
                f"source {name!r} is in the plan already: an amendment can change its weight and its part of the mixture only. "
                f"Give other text another name."
            )


def _refuse_trained(run: RunDirectory, from_step: int) -> None:
    saved = max((checkpoint.step for checkpoint in committed_checkpoints(run.checkpoints)), default=0)
    if saved and from_step <= saved:
        raise ConfigError(f"--from-step {from_step}: {run.root} is trained and saved up to step {saved}. Choose {saved + 1} or later.")


def _keep(run: RunDirectory, number: int) -> None:
    """Copies of the files as they were before an amendment."""
    folder = run.amendments / str(number)
    folder.mkdir(parents=True, exist_ok=True)
    for file in (run.config, run.plan):
        shutil.copy2(file, folder)
