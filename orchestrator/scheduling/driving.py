"""The process of an attempt, from the side of the command that supervises it."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.errors import InfrastructureError
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines
from orchestrator.runs.stop_request import stop_requested
from orchestrator.scheduling import asked
from orchestrator.scheduling.attempt import AttemptJob, Outcome, dump, load_outcome
from orchestrator.scheduling.leftovers import sweep
from orchestrator.scheduling.sharing import Place, SharedCluster

_LOOK_SECONDS = 0.2
_REQUEST_SECONDS = 1.0
_CLEANING_SECONDS = 30.0
_SILENT_SECONDS = 180.0  # it looks every second, but for when it ends ranks on nodes that do not answer


def drive_in_process(
    job: AttemptJob, log: Path, *, grace_seconds: float, start_seconds: float, cluster: SharedCluster | None = None
) -> Outcome:
    """Have an attempt driven by a process of its own, and clear away what it leaves when it dies.

    Signals that ask this process to stop are passed on to it.

    Args:
        job: what to do.
        log: where all goes that it and Ray print.
        grace_seconds: how long it may take to end after it was asked to stop.
        start_seconds: how long it may take until there are ranks to watch.
        cluster: to connect to; none: the one that RAY_ADDRESS names, or one of its own.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        place = cluster.place() if cluster else Place(environment=os.environ)
    except InfrastructureError as error:
        return Outcome(kind="failed", step=job.from_step, error="InfrastructureError", message=str(error))
    reading, writing = os.pipe()
    command = [sys.executable, "-P", "-m", "orchestrator.scheduling.driver", str(writing)]
    with log.open("ab") as output, os.fdopen(reading, "rb", buffering=0) as answer:
        process = subprocess.Popen(  # in a session of its own, so that Ctrl-C comes here alone
            command, stdin=subprocess.PIPE, stdout=output, stderr=output, env=place.environment, pass_fds=[writing, *place.descriptors],
            start_new_session=True,
        )  # fmt: skip
        os.close(writing)
        assert process.stdin is not None
        with process.stdin:
            process.stdin.write(dump(job))
            process.stdin.flush()
            request = _Request(RunDirectory(Path(job.run)), job.token.attempt)
            said, is_silent = _wait(process, answer.fileno(), grace_seconds, start_seconds, request.is_new)
    sweep()
    return load_outcome(said) if said.endswith(b"\n") else _died(process, job, log, is_silent=is_silent, is_asked=request.is_made)


class _Request:
    """What `midtrain stop` asks of one attempt, looked at now and then. Others that this command supervises go on.

    Attributes:
        is_made: whether it was asked.
    """

    def __init__(self, run: RunDirectory, attempt: int) -> None:
        self._run, self._attempt, self._next, self.is_made = run, attempt, 0.0, False

    def is_new(self) -> bool:
        """Whether it was asked since the last look."""
        if self.is_made or time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + _REQUEST_SECONDS
        self.is_made = stop_requested(self._run, self._attempt) is not None
        return self.is_made


def _wait(
    process: subprocess.Popen[bytes], answer: int, grace_seconds: float, start_seconds: float, is_asked: Callable[[], bool]
) -> tuple[bytes, bool]:
    """Wait for the end of the process.

    Args:
        process: to wait for.
        answer: what it says comes from this descriptor.
        grace_seconds, start_seconds: as `drive_in_process`.
        is_asked: called again and again; true when the process is to be asked to stop.

    Returns:
        What it said, and whether it was ended because it said nothing for too long.
    """
    said, passed_on, asked_at = b"", 0, 0.0
    silent_at = time.monotonic() + start_seconds + _SILENT_SECONDS
    while process.poll() is None:
        if select.select([answer], [], [], _LOOK_SECONDS)[0]:
            if chunk := os.read(answer, 1 << 16):
                said += chunk
                silent_at = time.monotonic() + (_CLEANING_SECONDS if said.endswith(b"\n") else _SILENT_SECONDS)
            else:
                time.sleep(_LOOK_SECONDS)  # at its end the pipe is readable for ever
        if is_asked():
            process.send_signal(signal.SIGTERM)
            asked_at = asked_at or time.monotonic()
        for number in asked.all_asked()[passed_on:]:
            process.send_signal(number)
            passed_on, asked_at = passed_on + 1, asked_at or time.monotonic()
        if asked_at and time.monotonic() > asked_at + grace_seconds + _CLEANING_SECONDS:
            os.killpg(process.pid, signal.SIGKILL)
        if time.monotonic() > silent_at:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return said, True
    while select.select([answer], [], [], 0)[0] and (chunk := os.read(answer, 1 << 16)):
        said += chunk
    return said, False


def _died(process: subprocess.Popen[bytes], job: AttemptJob, log: Path, *, is_silent: bool, is_asked: bool) -> Outcome:
    """What became of an attempt whose process could not say it."""
    step = max((line["step"] for line in read_lines(RunDirectory(Path(job.run)).metrics)), default=job.from_step)
    if number := asked.asked_to_stop() or (signal.SIGTERM if is_asked else 0):
        message = f"stopped by {asked.name(number)}, without a save. Go on from the last checkpoint with `midtrain resume`."
        return Outcome(kind="failed", step=step, error="InterruptedRunError", message=message)
    if is_silent:
        message = f"the process that drives the attempt hung, and was ended. {_last_words(log)}"
        return Outcome(kind="failed", step=step, error="InfrastructureError", message=message)
    code = process.returncode
    how = f"was killed by {asked.name(-code)}" if code < 0 else f"ended with exit code {code}"
    message = f"the process that drives the attempt {how}: Ray ends it when its own processes die. {_last_words(log)}"
    return Outcome(kind="failed", step=step, error="InfrastructureError", message=message)


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.exists() else []
    words = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
    return f"Its log, {log}, ends with: {words[:200]}"
