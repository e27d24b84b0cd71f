"""The ledger of attempts: a line when one starts, a line when it stops, with the reason (law 5); and the lock that admits one at a time."""

import itertools
import os
import socket
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from orchestrator.errors import RunExistsError
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import append_line, read_lines
from orchestrator.runs.locks import is_held, only_holder

JOB = "MIDTRAIN_JOB"  # the platform's job that this process belongs to, as slurm:123
OVER_FOR_GOOD = ("stopped", "user", "data", "numerics", "bug")  # classes of law 5 that another start without a change cannot mend
CLUSTER = "MIDTRAIN_CLUSTER"  # of the Ray cluster that a job has started for itself: what no other start of a job has


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """Why an attempt ended.

    Attributes:
        step: the last one that was made.
        reason, reason_class, exit_code: law 5.
        seconds: how long rank 0 was in each of its phases, as far as it was heard.
        failed_hosts: where the ranks were that died or hung.
    """

    step: int
    reason: str
    reason_class: str
    exit_code: int
    seconds: Mapping[str, float] = field(default_factory=dict)
    failed_hosts: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """How a run stands.

    Attributes:
        state: `planned` (never started), `running`, `finished`, `stopped` (with a reason), or `lost` (it ended without saying why).
        attempts: how many times it was started.
        reason, reason_class, exit_code: of the last stop; none while it runs.
        job: the platform's job that the last attempt was started by, as slurm:123; none: it was started by hand.
        host: where the last attempt was started.
    """

    state: str
    attempts: int
    reason: str | None = None
    reason_class: str | None = None
    exit_code: int | None = None
    job: str | None = None
    host: str | None = None


def newest_start(run: RunDirectory) -> int:
    """The number of the newest attempt; 0 when there was none."""
    return max((line["attempt"] for line in read_lines(run.attempts) if line["event"] == "start"), default=0)


def starts_without_progress(run: RunDirectory, job: str) -> int:
    """How many times in a row a job was started, by its platform, from the same step as last."""
    starts = [line for line in read_lines(run.attempts) if line["event"] == "start"]
    steps = [line["from_step"] for line in starts[-1:]]
    same = itertools.takewhile(lambda line: line.get("job") == job and line["from_step"] in steps, reversed(starts))
    return len({line.get("cluster", line["host"]) for line in same})  # attempts of one start have the same


def has_newest_ended(run: RunDirectory) -> bool:
    """Whether the newest attempt has its stop in the ledger, or there was none. A command can hold the run even so, and begin another."""
    newest = newest_start(run)
    return newest == 0 or any(line["event"] == "stop" and line["attempt"] == newest for line in read_lines(run.attempts))


def newest_cluster(run: RunDirectory) -> str | None:
    """The Ray cluster of the newest attempt; none when no job has started one for it."""
    starts = [line for line in read_lines(run.attempts) if line["event"] == "start"]
    return starts[-1].get("cluster") if starts else None


def start_attempt(run: RunDirectory, *, world_size: int, from_step: int) -> int:
    """Enter the start of an attempt.

    Returns:
        Its number, from 1.
    """
    attempt = len([line for line in read_lines(run.attempts) if line["event"] == "start"]) + 1
    of_job = {key: os.environ[name] for key, name in (("job", JOB), ("cluster", CLUSTER)) if name in os.environ}
    _append(
        run,
        {"event": "start", "attempt": attempt, "host": socket.gethostname(), "world_size": world_size, "from_step": from_step, **of_job},
    )
    return attempt


def enter_placement(run: RunDirectory, attempt: int, *, world_size: int, hosts: Sequence[str]) -> None:
    """Enter how many ranks an attempt has, and on which hosts they can be."""
    _append(run, {"event": "placed", "attempt": attempt, "world_size": world_size, "hosts": list(hosts)})


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
            "seconds": {phase: round(seconds, 3) for phase, seconds in stop.seconds.items()},
            **({"failed_hosts": list(stop.failed_hosts)} if stop.failed_hosts else {}),
        },
    )


def failed_hosts(run: RunDirectory, job: str) -> Counter[str]:
    """How often ranks failed on each host alone in a job: what fails on several at once is most likely the fault of none of them."""
    lines = list(read_lines(run.attempts))
    of_job = {line["attempt"] for line in lines if line["event"] == "start" and line.get("job") == job}
    alone = [line["failed_hosts"] for line in lines if line["attempt"] in of_job and len(line.get("failed_hosts", ())) == 1]
    return Counter(host for hosts in alone for host in hosts)


@contextmanager
def only_attempt(run: RunDirectory) -> Iterator[None]:
    """Hold the run while one of its attempts lives; the kernel lets go of it however the process ends.

    Raises:
        RunExistsError: another process holds it.
    """
    with only_holder(run.lock, RunExistsError(f"{run.root} is running already. Watch it with: midtrain status {run.root}")):
        yield


def read_status(run: RunDirectory) -> Status:
    """How the run stands, by its ledger and its lock."""
    held = is_held(run.lock)  # before the ledger is read: what lets go of the lock has written its stop
    lines = list(read_lines(run.attempts))
    starts = [line for line in lines if line["event"] == "start"]
    if not starts:
        return Status(state="planned", attempts=0)
    job, host = starts[-1].get("job"), starts[-1]["host"]
    if held:
        return Status(state="running", attempts=len(starts), job=job, host=host)
    newest = starts[-1]["attempt"]
    last = next((line for line in reversed(lines) if line["event"] == "stop" and line["attempt"] == newest), None)
    if last is None:
        why = "the attempt ended without a word: killed, or its node went down"
        return Status(state="lost", attempts=len(starts), reason=why, job=job, host=host)
    return Status(
        state="finished" if last["class"] == "done" else "stopped",  # an attempt that ended to go on at another size is not
        attempts=len(starts),
        reason=last["reason"],
        reason_class=last["class"],
        exit_code=last["exit_code"],
        job=job,
        host=host,
    )


def _append(run: RunDirectory, entry: dict[str, Any]) -> None:
    append_line(run.attempts, {"time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"), **entry})
