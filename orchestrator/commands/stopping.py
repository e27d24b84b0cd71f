"""`midtrain stop`: a run saves and stops, wherever it runs; with `--now` its job is ended at once."""

import time
from dataclasses import dataclass

from orchestrator.commands.console import Console
from orchestrator.commands.jobs import Standing, job_of, platform_of
from orchestrator.config.load import read_config
from orchestrator.errors import ConfigError, InfrastructureError
from orchestrator.platforms.submissions import Submission
from orchestrator.runs.attempts import has_newest_ended, newest_start, read_status
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.stop_request import request_stop

_LOOK_SECONDS = 1.0
_BESIDE_GRACE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What was asked of a run that has yet to stop.

    Attributes:
        run: its directory.
        last: the last attempt that is meant.
        seconds: that it has.
    """

    run: RunDirectory
    last: int
    seconds: float


def stop(run: RunDirectory, console: Console, *, now: bool = False) -> None:
    """Stop a run, and wait until it has stopped.

    Raises:
        InfrastructureError: the run has not stopped in its time; and as `ask_to_stop`.
    """
    if asked := ask_to_stop(run, console, now=now):
        wait_until_stopped(asked, console)


def ask_to_stop(run: RunDirectory, console: Console, *, now: bool) -> Asked | None:
    """Ask a run to stop.

    Args:
        run: its directory.
        console: told what is done.
        now: without a save.

    Returns:
        What is to be waited for; none when it does not run any more, or did not.

    Raises:
        ConfigError: it is not a run.
        InfrastructureError: the platform does not answer.
    """
    grace = read_config(run.config).scheduling.preemption.grace_seconds
    status, found = read_status(run), job_of(run)
    may_be_here = status.state == "running" or (found is None and status.state == "lost")  # a lock is not seen from everywhere
    phase = found[1].phase if found else "gone"
    if found and phase == "unknown" and not may_be_here:
        raise InfrastructureError(f"{run.root}: whether its job {found[0].job or '?'} lives is not known: {found[1].why}")
    last = newest_start(run) + int(has_newest_ended(run))  # an attempt that is about to begin is meant, too
    if not may_be_here and phase not in ("waiting", "running"):
        if phase == "ended" and status.state != "finished":  # what its platform has given up would be submitted again
            request_stop(run, through_attempt=last)
            console.say(f"{run.root} is not running. It will not be submitted again; go on with: midtrain resume {run.root}")
        else:
            console.say(f"{run.root} is not running. Nothing was done.")
        return None
    if now and (found is None or found[0].job is None):
        raise ConfigError(f"{run.root} was started by hand: press Ctrl-C twice there. `midtrain stop` without --now works from here.")
    request_stop(run, through_attempt=last)
    if found and (now or (phase == "waiting" and not may_be_here)):
        _cancel(run, found[0], console)
        return None
    return Asked(run=run, last=last, seconds=grace + _BESIDE_GRACE_SECONDS)


def wait_until_stopped(asked: Asked, console: Console) -> None:
    """Wait until the last attempt that was meant has ended, or nothing is there that could begin it; and until its job is gone.

    Raises:
        InfrastructureError: it has not stopped in its time.
    """
    run, last, seconds = asked.run, asked.last, asked.seconds
    console.note(f"{run.root} is asked to save and stop; it has {seconds:.0f} s. Ctrl-C ends the wait, not the request.")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status, has_ended = read_status(run), has_newest_ended(run)
        if status.state != "running":
            found = None if has_ended and newest_start(run) >= last else job_of(run)
            if not _can_begin(found):
                console.say(f"{run.root}: {status.reason}")
                return
            if found and found[1].phase == "waiting":  # for another start, whose nodes would be taken for nothing
                _cancel(run, found[0], console)
                return
        time.sleep(_LOOK_SECONDS)
    raise InfrastructureError(f"{run.root} has not stopped within {seconds:.0f} s. See `midtrain logs {run.root}`, or stop it with --now.")


def _cancel(run: RunDirectory, submission: Submission, console: Console) -> None:
    platform_of(run, submission).cancel(submission.job or "", submission.key)
    console.say(f"{run.root}: job {submission.job} is cancelled. Go on with: midtrain resume {run.root}")


def _can_begin(found: Standing | None) -> bool:
    return found is not None and (found[1].is_alive or found[1].phase == "unknown")
