"""`RUN/.stop`: a person asks the run to stop. Whoever sees the run directory can ask, wherever the run is."""

import getpass
import socket
from dataclasses import dataclass
from datetime import UTC, datetime

from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.records import read_record, write_record


@dataclass(frozen=True, kw_only=True, slots=True)
class StopRequest:
    """A request.

    Attributes:
        through_attempt: the last attempt that is meant; a later one is a new wish of somebody's.
        by, time: who asked, and when.
    """

    through_attempt: int
    by: str
    time: str


def request_stop(run: RunDirectory, *, through_attempt: int, by: str = "") -> None:
    """Ask attempts up to a number to save and stop.

    Args:
        run: its directory.
        through_attempt: that number.
        by: who asks; empty: this user, on this host.

    Raises:
        OSError: the request cannot be written.
    """
    stamp = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    who = f"{getpass.getuser()} on {socket.gethostname()}"
    write_record(run.stop_request, StopRequest(through_attempt=through_attempt, by=by or who, time=stamp))


def withdraw_stop(run: RunDirectory) -> None:
    """Forget a request: somebody wants the run to go on."""
    run.stop_request.unlink(missing_ok=True)


def stop_requested(run: RunDirectory, attempt: int) -> StopRequest | None:
    """The request that means an attempt; none when there is none, or it cannot be read now."""
    try:
        request = read_record(run.stop_request, StopRequest)
    except (OSError, ValueError):
        return None
    return request if attempt <= request.through_attempt else None
