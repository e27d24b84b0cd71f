"""`midtrain sync`: W&B, and the second home if there is one, get what they lack of a run that has stopped."""

import os
from typing import Any

from orchestrator.checkpoints.store import committed_directories
from orchestrator.commands.console import Console
from orchestrator.config.load import read_config
from orchestrator.errors import ConfigError, InfrastructureError, RunExistsError
from orchestrator.runs.attempts import newest_start
from orchestrator.runs.companion import last_words
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines
from orchestrator.runs.locks import is_held
from orchestrator.second_home.uploading import upload_all
from orchestrator.tracking.mirroring import finish_mirror, start_mirror
from orchestrator.tracking.wandb_id import wandb_id


def sync(run: RunDirectory, *, timeout_seconds: float) -> dict[str, Any]:
    """Push what W&B lacks of a run, whatever the run's own mode is, and before it the checkpoints that the second home lacks.

    Args:
        run: its directory.
        timeout_seconds: how long to wait for each of the two.

    Returns:
        Of W&B, unless it has no key and there is a second home: `project`, `wandb_id`, `lines`, and the last `step`. Of a second home:
        `second_home`, and `checkpoints`, the steps of those that it has of what is here.

    Raises:
        ConfigError: it is not a run, it is being mirrored or copied, or the key is missing or refused.
        InfrastructureError: one of the two has not taken everything in time.
    """
    checkpoints = read_config(run.config).checkpoints
    if checkpoints.second_home is None:
        return _sync_wandb(run, timeout_seconds)
    if is_held(run.upload_lock):
        raise RunExistsError(f"{run.root} is being copied to {checkpoints.second_home} by another process. Run `midtrain sync` later.")
    wandb_id(run)
    upload_all(run, seconds=timeout_seconds)
    steps = [int(directory.name.removeprefix("step_")) for directory in committed_directories(run.checkpoints)]
    copied = {"second_home": checkpoints.second_home, "checkpoints": steps}
    return copied | (_sync_wandb(run, timeout_seconds) if os.environ.get("WANDB_API_KEY") else {})


def _sync_wandb(run: RunDirectory, timeout_seconds: float) -> dict[str, Any]:
    config = read_config(run.config)
    if not os.environ.get("WANDB_API_KEY"):
        raise ConfigError("WANDB_API_KEY is not set, and W&B takes nothing without. Put the key of your account into the environment.")
    if is_held(run.wandb_lock):
        raise RunExistsError(f"{run.root} is being mirrored to W&B by another process. Run `midtrain sync` when its attempt has ended.")
    lines = list(read_lines(run.metrics))
    has_begun = bool(lines) or newest_start(run) > 0  # why a run stopped before its first line is worth knowing, too
    code = finish_mirror(start_mirror(run, "online", timeout_seconds), run, timeout_seconds) if has_begun else 0
    if code:
        why = last_words(run.wandb_log, code)
        message = f"W&B does not have all of {run.root}, with {len(lines)} lines: {why} Run it again; no line is sent twice."
        raise ConfigError(message) if code == ConfigError.exit_code else InfrastructureError(message)
    return {
        "project": config.tracking.project,
        "wandb_id": wandb_id(run),
        "lines": len(lines),
        "step": lines[-1]["step"] if lines else None,
    }


def show_sync(synced: dict[str, Any], console: Console) -> None:
    """What the two have, in a sentence each."""
    if "second_home" in synced:
        console.say(f"{synced['second_home']} has all {len(synced['checkpoints'])} checkpoints of the run.")
    if "lines" in synced:
        upto = f", to step {synced['step']}" if synced["lines"] else ""
        console.say(f"W&B has all {synced['lines']} lines of the run{upto}: project {synced['project']}, id {synced['wandb_id']}.")
    else:
        console.note("W&B was not asked: WANDB_API_KEY is not set.")
