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
from orchestrator.errors import ConfigError, OrchestratorError
from orchestrator.runs.attempts import JOB, newest_start, read_status
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.fence import raise_fence
from orchestrator.runs.locks import is_held

DOCTOR, REPORT = "MIDTRAIN_DOCTOR", "doctor.json"  # a job that looks at its nodes, and what it leaves in its directory
_LOOK_SECONDS = 0.5
_BESIDE_GRACE_SECONDS = 60.0
_RUN, _LOG = "MIDTRAIN_RUN", "MIDTRAIN_LOG"
# Of the classes of law 5, those that another start without a change cannot mend.
_FINAL = {"user": errors.ConfigError, "data": errors.DataError, "numerics": errors.NumericsError, "bug": errors.RankFailedError}


def run_job(console: Console) -> None:
    """Train the run to its end, as one of possibly many starts of the same job.

    Raises:
        OrchestratorError: as `midtrain resume`; or the last attempt of this very job ended in a way that starting it again cannot mend.
    """
    if not os.environ.get(_RUN):
        raise ConfigError(f"{_RUN} is not set: `midtrain job` is what submitted jobs run. Give `midtrain launch` or `midtrain resume`.")
    run = RunDirectory(Path(os.environ[_RUN]))
    if os.environ.get(DOCTOR):
        os.execv(sys.executable, [sys.executable, "-P", "-m", "orchestrator.doctor.job", str(run.root / REPORT), str(run.config)])
    if log := os.environ.get(_LOG):
        _copy_output(Path(log))
    status = read_status(run)
    if status.job == os.environ.get(JOB) and status.job is not None:
        if status.reason_class == "stopped":
            console.say(f"{run.root}: {status.reason}")
            return
        if status.reason_class in _FINAL:
            raise _final(status.reason_class, f"{status.reason} Another start of the same job would end like it; mend it, then resume.")
    _take_over(run, console)
    resume(run, console)


def _take_over(run: RunDirectory, console: Console) -> None:
    """Have an attempt that is still at work somewhere stop: the platform has given its job up, or it would not have started this one."""
    if not is_held(run.lock):
        return
    console.note(f"{run.root} is still held by an attempt that its platform has given up: fencing it off, and waiting until it stops")
    raise_fence(run, newest_start(run) + 1)
    deadline = time.monotonic() + read_config(run.config).scheduling.preemption.grace_seconds + _BESIDE_GRACE_SECONDS
    while is_held(run.lock) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)


def _final(reason_class: str, message: str) -> OrchestratorError:
    return _FINAL[reason_class](message)


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
