"""`midtrain sync`: W&B gets what it lacks of a run that has stopped."""

import os
from typing import Any

from orchestrator.commands.console import Console
from orchestrator.config.load import read_config
from orchestrator.errors import ConfigError, InfrastructureError, RunExistsError
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines
from orchestrator.runs.locks import is_held
from orchestrator.tracking.mirroring import finish_mirror, start_mirror, why_behind
from orchestrator.tracking.wandb_id import wandb_id


def sync(run: RunDirectory, *, timeout_seconds: float) -> dict[str, Any]:
    """Push every line of metrics.jsonl that W&B lacks, whatever the run's own mode is.

    Args:
        run: its directory.
        timeout_seconds: how long to wait for W&B.

    Returns:
        What it has now: `project`, `wandb_id`, `lines`, and the last `step`.

    Raises:
        ConfigError: it is not a run, it is being mirrored, or the key is missing or refused.
        InfrastructureError: W&B has not taken everything in time.
    """
    config = read_config(run.config)
    if not os.environ.get("WANDB_API_KEY"):
        raise ConfigError("WANDB_API_KEY is not set, and W&B takes nothing without. Put the key of your account into the environment.")
    if is_held(run.wandb_lock):
        raise RunExistsError(f"{run.root} is being mirrored to W&B by another process. Run `midtrain sync` when its attempt has ended.")
    lines = list(read_lines(run.metrics))
    code = finish_mirror(start_mirror(run, "online", timeout_seconds), run, timeout_seconds) if lines else 0
    if code:
        why = why_behind(run, code)
        message = f"W&B does not have all {len(lines)} lines of {run.metrics}: {why} Run it again; nothing is sent twice."
        raise ConfigError(message) if code == ConfigError.exit_code else InfrastructureError(message)
    return {
        "project": config.tracking.project,
        "wandb_id": wandb_id(run),
        "lines": len(lines),
        "step": lines[-1]["step"] if lines else None,
    }


def show_sync(synced: dict[str, Any], console: Console) -> None:
    """What W&B has, in a sentence."""
    upto = f", to step {synced['step']}" if synced["lines"] else ""
    console.say(f"W&B has all {synced['lines']} lines of the run{upto}: project {synced['project']}, id {synced['wandb_id']}.")
