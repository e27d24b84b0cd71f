"""The ledger of attempts: a line when one starts, a line when it stops, with the reason (law 5); and the lock that admits one at a time."""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO

from orchestrator.errors import RunExistsError
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.durable import write_whole
from orchestrator.runs.lines import read_lines

_LOCK_TRIES = 3  # `midtrain status` holds the lock for the moment in which it looks


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """Why an attempt ended."""

    step: int
    reason: str
    reason_class: str
    exit_code: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """How a run stands.

    Attributes:
        state: `planned` (never started), `running`, `finished`, `stopped` (with a reason), or `lost` (it ended without saying why).
        attempts: how many times it was started.
        reason, reason_class, exit_code: of the last stop; none while it runs.
    """

    state: str
    attempts: int
    reason: str | None = None
    reason_class: str | None = None
    exit_code: int | None = None


def start_attempt(run: RunDirectory, *, world_size: int, from_step: int) -> int:
    """Enter the start of an attempt.

    Returns:
        Its number, from 1.
    """
    attempt = len([line for line in read_lines(run.attempts) if line["event"] == "start"]) + 1
    _append(run, {"event": "start", "attempt": attempt, "host": socket.gethostname(), "world_size": world_size, "from_step": from_step})
    return attempt


def stop_attempt(run: RunDirectory, attempt: int, stop: Stop) -> None:
    """Enter the end of an attempt."""
    _append(
        run,
        {
            "event": "stop",
            "attempt": attempt,
            "step": stop.step,
            "reason": stop.reason,
            "class": stop.reason_class,
            "exit_code": stop.exit_code,
        },
    )


@contextmanager
def only_attempt(run: RunDirectory) -> Iterator[None]:
    """Hold the run while one of its attempts lives; the kernel lets go of it however the process ends.

    Raises:
        RunExistsError: another process holds it.
    """
    with run.lock.open("w", encoding="utf-8") as file:
        if not any(_takes_lock(file, fcntl.LOCK_EX) for _ in range(_LOCK_TRIES)):
            raise RunExistsError(f"{run.root} is running already. Watch it with: midtrain status {run.root}")
        yield


def read_status(run: RunDirectory) -> Status:
    """How the run stands, by its ledger and its lock."""
    held = _is_held(run)  # before the ledger is read: what lets go of the lock has written its stop
    lines = list(read_lines(run.attempts))
    starts = [line for line in lines if line["event"] == "start"]
    if not starts:
        return Status(state="planned", attempts=0)
    if held:
        return Status(state="running", attempts=len(starts))
    last = lines[-1]
    if last["event"] != "stop":
        return Status(state="lost", attempts=len(starts), reason="the attempt ended without a word: killed, or its node went down")
    state = "finished" if last["exit_code"] == 0 else "stopped"
    return Status(state=state, attempts=len(starts), reason=last["reason"], reason_class=last["class"], exit_code=last["exit_code"])


def _is_held(run: RunDirectory) -> bool:
    if not run.lock.exists():
        return False
    with run.lock.open("r", encoding="utf-8") as file:
        return not _takes_lock(file, fcntl.LOCK_SH)


def _takes_lock(file: TextIO, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(0.1)
        return False
    return True


def _append(run: RunDirectory, entry: dict[str, Any]) -> None:
    if run.attempts.exists() and not run.attempts.read_bytes().endswith(b"\n"):  # a power cut tore the last line
        entries = "".join(json.dumps(line) + "\n" for line in read_lines(run.attempts))
        write_whole(run.attempts, entries.encode())
    stamped = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **entry}
    with run.attempts.open("a", encoding="utf-8") as file:
        file.write(json.dumps(stamped) + "\n")
        file.flush()
        os.fsync(file.fileno())
