"""The driver's side of the mirror: it is started, asked to finish, waited for a while, and ended. It never raises for W&B's sake."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from orchestrator.config.operation import TrackingConfig
from orchestrator.errors import InterruptedRunError
from orchestrator.runs.companion import finish_companion, kill_group, last_words, start_companion
from orchestrator.runs.directory import RunDirectory
from orchestrator.tracking.traces import kill_children, remove_folder
from orchestrator.tracking.wandb_id import wandb_id

_PREEMPTED_SECONDS = 3.0  # who asks to stop does not wait long


@contextmanager
def mirroring(run: RunDirectory, tracking: TrackingConfig, warn: Callable[[str], None]) -> Iterator[None]:
    """Mirror a run to W&B for as long as the context lasts.

    Args:
        run: its directory; the caller holds its lock.
        tracking: where to.
        warn: told when W&B gets nothing, and when it has got less than metrics.jsonl has.
    """
    wandb_id(run)  # before there are ranks, which put it into checkpoints
    if tracking.wandb == "off":
        yield
        return
    if tracking.wandb == "online" and "WANDB_API_KEY" not in os.environ:
        warn("WANDB_API_KEY is not set. Unless this machine has a login of W&B, it gets nothing until `midtrain sync`.")
    patience_seconds = tracking.finish_seconds
    try:
        mirror = start_mirror(run, tracking.wandb, tracking.finish_seconds)
    except OSError as error:
        warn(f"W&B gets nothing: {error}. Training goes on; push it later with: midtrain sync {run.root}")
        yield
        return
    try:
        yield
    except InterruptedRunError:
        patience_seconds = min(patience_seconds, _PREEMPTED_SECONDS)
        raise
    finally:
        if code := finish_mirror(mirror, run, patience_seconds):
            warn(f"W&B is behind: {last_words(run.wandb_log, code)} Nothing is lost; push the rest with: midtrain sync {run.root}")


def start_mirror(run: RunDirectory, mode: Literal["offline", "online"], seconds: float) -> subprocess.Popen[bytes]:
    """Start a mirror.

    Args:
        run: what to mirror.
        mode: where to.
        seconds: it has these to finish if its parent dies.

    Raises:
        OSError: there is no process or no disk to be had.
    """
    run.wandb.mkdir(exist_ok=True)
    return start_companion("orchestrator.tracking.mirror", [str(run.root), mode, str(seconds)], run.wandb_log)


def finish_mirror(mirror: subprocess.Popen[bytes], run: RunDirectory, seconds: float) -> int:
    """Ask a mirror to finish, and wait. It is gone afterwards, with all that it had.

    Returns:
        0: W&B has everything; else a mirror's exit code.
    """
    try:
        return finish_companion(mirror, seconds, lambda: _kill(mirror))
    finally:
        remove_folder(run)


def _kill(mirror: subprocess.Popen[bytes]) -> None:
    kill_children(mirror.pid)
    kill_group(mirror)
