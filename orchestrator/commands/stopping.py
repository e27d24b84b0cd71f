"""`midtrain stop`: a run saves and stops, wherever it runs; with `--now` its job is ended at once."""

import time

from orchestrator.commands.console import Console
from orchestrator.commands.submitting import job_of
from orchestrator.config.load import read_config
from orchestrator.errors import ConfigError, InfrastructureError
from orchestrator.platforms.choosing import platform_named
from orchestrator.platforms.profiles import read_settings
from orchestrator.platforms.submissions import SETTINGS, newest_submission
from orchestrator.runs.attempts import newest_start, read_status
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.stop_request import request_stop

_LOOK_SECONDS = 1.0
_BESIDE_GRACE_SECONDS = 60.0


def stop(run: RunDirectory, console: Console, *, now: bool = False) -> None:
    """Stop a run.

    Args:
        run: its directory.
        console: told what is done.
        now: without a save.

    Raises:
        ConfigError: it is not a run.
        InfrastructureError: the platform does not answer, or the run has not stopped in its time.
    """
    grace = read_config(run.config).scheduling.preemption.grace_seconds
    status, found = read_status(run), job_of(run)
    is_here, job = status.state == "running", found[0] if found else None
    phase = found[1].phase if found else "gone"
    if found and phase == "unknown" and not is_here:
        raise InfrastructureError(f"{run.root}: whether its job {job} lives is not known: {found[1].why}")
    if not is_here and phase not in ("waiting", "running"):
        console.say(f"{run.root} is not running. Nothing was done.")
        return
    attempt = newest_start(run)
    has_ended = status.reason is not None and status.state != "lost"
    request_stop(run, through_attempt=attempt + 1 if has_ended or attempt == 0 else attempt)  # an attempt that has not begun is meant, too
    if now or (phase == "waiting" and not is_here):
        _cancel(run, job)
        console.say(
            f"{run.root}: job {job} is cancelled. Go on with: midtrain resume {run.root}" if job else f"{run.root} is asked to stop"
        )
        return
    _wait(run, console, attempt, grace + _BESIDE_GRACE_SECONDS)


def _cancel(run: RunDirectory, job: str | None) -> None:
    newest = newest_submission(run)
    if job is None or newest is None:
        raise ConfigError(f"{run.root} was started by hand: press Ctrl-C twice there. `midtrain stop` without --now works from here.")
    platform_named(newest.platform, read_settings(run.launch / str(newest.number) / SETTINGS)).cancel(job)


def _wait(run: RunDirectory, console: Console, attempt: int, seconds: float) -> None:
    console.note(f"{run.root} is asked to save and stop; it has {seconds:.0f} s. Ctrl-C ends the wait, not the request.")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = read_status(run)
        if status.reason_class is not None and newest_start(run) >= attempt and status.state in ("stopped", "finished"):
            console.say(f"{run.root}: {status.reason}")
            return
        time.sleep(_LOOK_SECONDS)
    raise InfrastructureError(f"{run.root} has not stopped within {seconds:.0f} s. See `midtrain logs {run.root}`, or stop it with --now.")
