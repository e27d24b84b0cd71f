"""The driver's side of the mirror: it is started, asked to finish, waited for a while, and ended. It never raises for W&B's sake."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from orchestrator.config.operation import TrackingConfig
from orchestrator.errors import InterruptedRunError
from orchestrator.runs.directory import RunDirectory
from orchestrator.tracking.traces import kill_children, remove_folder
from orchestrator.tracking.wandb_id import wandb_id

_PREEMPTED_SECONDS = 3.0  # who asks to stop does not wait long
_MARGIN_SECONDS = 3.0  # the mirror ends itself when its time is over


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
            warn(f"W&B is behind: {why_behind(run, code)} Nothing is lost; push the rest with: midtrain sync {run.root}")


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
    run.wandb_log.parent.mkdir(exist_ok=True)
    words = [sys.executable, "-P", "-m", "orchestrator.tracking.mirror", str(run.root), mode, str(seconds)]
    with run.wandb_log.open("ab") as log:
        return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True)


def finish_mirror(mirror: subprocess.Popen[bytes], run: RunDirectory, seconds: float) -> int:
    """Ask a mirror to finish, and wait. It is gone afterwards, with all that it had.

    Returns:
        0: W&B has everything; else a mirror's exit code.
    """
    assert mirror.stdin is not None
    with suppress(OSError):  # it has ended already
        mirror.stdin.write(str(seconds).encode())
        mirror.stdin.close()
    with _impatient(mirror):
        try:
            mirror.wait(seconds + _MARGIN_SECONDS)
        except subprocess.TimeoutExpired:
            _kill(mirror)
        finally:
            code = mirror.wait()
            remove_folder(run)
    return code


def why_behind(run: RunDirectory, code: int) -> str:
    """What a mirror says of its end.

    Args:
        run: what it mirrored.
        code: its exit code.
    """
    words = "its process was killed" if code < 0 else "for no reason that it has written down"
    with suppress(OSError, IndexError):
        words = run.wandb_log.read_text(encoding="utf-8", errors="replace").splitlines()[-1] if code > 0 else words
    return f"{words} ({run.wandb_log})."


def _kill(mirror: subprocess.Popen[bytes]) -> None:
    kill_children(mirror.pid)
    with suppress(ProcessLookupError):
        os.killpg(mirror.pid, signal.SIGKILL)


@contextmanager
def _impatient(mirror: subprocess.Popen[bytes]) -> Iterator[None]:
    """A signal that asks to stop ends the wait, not the driver: training has ended, and how is in its exit code."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: _kill(mirror)) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
