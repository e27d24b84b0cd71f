"""`midtrain job`: what a job of a platform runs. It goes on with the run that MIDTRAIN_RUN names, here, or says why that has no use."""

import os
import subprocess
import sys
import time
from pathlib import Path

from orchestrator import errors
from orchestrator.commands.console import Console
from orchestrator.commands.training import resume
from orchestrator.config.load import read_config
from orchestrator.errors import ConfigError, InfrastructureError, InterruptedRunError
from orchestrator.platforms.submissions import kept_settings, newest_submission
from orchestrator.runs.attempts import JOB, OVER_FOR_GOOD, has_newest_ended, newest_start, read_status, starts_without_progress
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.fence import raise_fence
from orchestrator.runs.locks import is_held
from orchestrator.runs.stop_request import stop_requested
from orchestrator.scheduling.asked import asked_to_stop, noting_signals

DOCTOR, REPORT = "MIDTRAIN_DOCTOR", "doctor.json"  # a job that looks at its nodes, and what it leaves in its directory
_LOOK_SECONDS = 0.5
_BESIDE_GRACE_SECONDS = 60.0
_RUN, _LOG = "MIDTRAIN_RUN", "MIDTRAIN_LOG"
_MOST_STARTS = 5
_ERRORS = {"user": errors.ConfigError, "data": errors.DataError, "numerics": errors.NumericsError, "bug": errors.RankFailedError}


def run_job(console: Console) -> None:
    """Train the run to its end, as one of possibly many starts of the same job.

    Raises:
        OrchestratorError: as `midtrain resume`; or another start of this job has no use.
    """
    if not os.environ.get(_RUN):
        raise ConfigError(f"{_RUN} is not set: `midtrain job` is what submitted jobs run. Give `midtrain launch` or `midtrain resume`.")
    run = RunDirectory(Path(os.environ[_RUN]))
    if log := os.environ.get(_LOG):
        _copy_output(Path(log))
    if os.environ.get(DOCTOR):
        os.execv(sys.executable, [sys.executable, "-P", "-m", "orchestrator.doctor.job", str(run.root / REPORT), str(run.config)])
    config = read_config(run.config)
    with noting_signals(config.scheduling.preemption.signals):  # from the first second on: a platform may ask to stop at any
        if reason := _was_stopped(run):
            console.say(f"{run.root}: {reason}")
            return
        _refuse_useless(run)
        _take_over(run, config.scheduling.preemption.grace_seconds, console)
        resume(run, console)


def _was_stopped(run: RunDirectory) -> str | None:
    """What a person has stopped in this very job, if so, or wants stopped though the last attempt could not say that it was."""
    status = read_status(run)
    is_ours = status.job is not None and status.job == os.environ.get(JOB)
    if is_ours and status.reason_class == "stopped":
        return status.reason
    request = stop_requested(run, newest_start(run) + int(has_newest_ended(run)))
    return f"`midtrain stop` by {request.by} was asked for. Go on with `midtrain resume`." if request else None


def _refuse_useless(run: RunDirectory) -> None:
    """Refuse what starting again cannot mend: a run that another job has now, or that is not due, an end for good, no progress."""
    status, job, newest = read_status(run), os.environ.get(JOB), newest_submission(run)
    if newest and newest.job and job not in (None, f"{newest.platform}:{newest.job}"):
        raise ConfigError(f"{run.root} was submitted again since, as job {newest.job} on {newest.platform}, so {job} leaves it alone.")
    for before in getattr(kept_settings(run, newest), "after", ()) if newest else ():
        if (state := read_status(RunDirectory(Path(before))).state) != "finished":
            raise ConfigError(
                f"launch.after={before} is {state} and not finished, so {run.root} does not begin. Finish that, then resume this."
            )
    if job is None or status.job != job:
        return
    if status.reason_class in OVER_FOR_GOOD:
        message = f"{status.reason} Another start of the same job would end like it; mend it, then resume."
        raise _ERRORS[status.reason_class](message)
    if (starts := starts_without_progress(run, job)) >= _MOST_STARTS:
        raise InfrastructureError(
            f"{run.root}: {job} was started {starts} times from the same step, and no checkpoint was made in between. See its stops in "
            f"{run.attempts}; if preemption comes too soon, lower checkpoints.insurance_minutes. Then go on with `midtrain resume`."
        )


def _take_over(run: RunDirectory, grace_seconds: float, console: Console) -> None:
    """Have an attempt that is still at work somewhere stop: the platform has given its job up, or it would not have started this one."""
    if not is_held(run.lock):
        return
    console.note(f"{run.root} is still held by an attempt that its platform has given up: fencing it off, and waiting until it stops")
    raise_fence(run, newest_start(run) + 1)
    deadline = time.monotonic() + grace_seconds + _BESIDE_GRACE_SECONDS
    while is_held(run.lock):
        if time.monotonic() > deadline or asked_to_stop():
            raise InterruptedRunError(
                f"{run.root} is still held by an attempt elsewhere, which has not let go of {run.lock}. Try again later."
            )
        time.sleep(_LOOK_SECONDS)


def _copy_output(log: Path) -> None:
    """Have all that this process and its children print written to a file, too: where it goes otherwise may not outlive the job."""
    log.parent.mkdir(exist_ok=True)
    copier = subprocess.Popen(["tee", "--append", "--ignore-interrupts", str(log)], stdin=subprocess.PIPE, start_new_session=True)
    assert copier.stdin is not None
    sys.stdout.flush()
    sys.stderr.flush()
    for descriptor in (1, 2):
        os.dup2(copier.stdin.fileno(), descriptor)
    copier.stdin.close()
