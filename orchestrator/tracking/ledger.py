"""What W&B is told of the attempts of a run: who made a step, which stops to tell of, how it ended, what it cost. Pure, of ledger lines."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from orchestrator.errors import InfrastructureError, InterruptedRunError

Line = Mapping[str, Any]

_LEVELS: Mapping[str, Literal["ERROR", "WARN"]] = {
    "bug": "ERROR",
    "data": "ERROR",
    "numerics": "ERROR",
    "user": "ERROR",
    "preempted": "WARN",
    "infrastructure": "WARN",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """A notice to the people who watch a run.

    Attributes:
        attempt: that stopped.
        title: shorter than 64 characters, the most that W&B takes.
        text: why.
        level: how bad it is.
    """

    attempt: int
    title: str
    text: str
    level: Literal["INFO", "WARN", "ERROR"]


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """How a run ended, or stands.

    Attributes:
        exit_code: of its newest attempt.
        is_preempted: whether it asks to be gone on with (EX_TEMPFAIL), as no failed one does.
    """

    exit_code: int
    is_preempted: bool


def num_attempts(ledger: Sequence[Line]) -> int:
    """How many times the run was started."""
    return len(_starts(ledger))


def attempt_finder(ledger: Sequence[Line]) -> Callable[[int], int | None]:
    """Which attempt's line of a step stands in metrics.jsonl; none when nothing was started.

    An attempt takes the lines after the step that it begins from away and makes them again, so it is the newest that began before the step.
    One that stopped before it was heard to make a step has taken nothing away.

    Args:
        ledger: the lines of attempts.jsonl.

    Returns:
        A function of the step of a line; that of step 0 is made by attempts that begin there.
    """
    stops = {line["attempt"]: line["step"] for line in ledger if line["event"] == "stop"}
    starts = [(line["from_step"], line["attempt"]) for line in reversed(_starts(ledger))]
    trained = [(from_step, attempt) for from_step, attempt in starts if stops.get(attempt, from_step + 1) > from_step]
    first_choice = [*trained, *starts]
    return lambda step: next((attempt for from_step, attempt in first_choice if from_step < max(step, 1)), None)


def alerts(ledger: Sequence[Line], name: str) -> list[Alert]:
    """A notice for each attempt that stopped before the last step of the run.

    Args:
        ledger: the lines of attempts.jsonl.
        name: of the run.
    """
    return [
        Alert(
            attempt=line["attempt"],
            title=f"attempt {line['attempt']} stopped: {line['class']}",
            text=f"{name}, after step {line['step']}: {line['reason']}",
            level=_LEVELS.get(line["class"], "INFO"),
        )
        for line in ledger
        if line["event"] == "stop" and line["class"] != "done"
    ]


def end_of(ledger: Sequence[Line], *, is_held: bool) -> End:
    """How the run ended.

    Args:
        ledger: the lines of attempts.jsonl.
        is_held: whether a process holds the run. What has no stop is at work then, and was killed otherwise.
    """
    newest = num_attempts(ledger)
    stop = next((line for line in reversed(ledger) if line["event"] == "stop" and line["attempt"] == newest), None)
    if stop is None:
        return End(exit_code=0 if is_held or not newest else InfrastructureError.exit_code, is_preempted=False)
    return End(exit_code=stop["exit_code"], is_preempted=stop["exit_code"] == InterruptedRunError.exit_code)


def rank_hours(ledger: Sequence[Line], now: datetime | None) -> float:
    """Hours of all ranks, from the start of each attempt to its stop; what an attempt took that was killed is not known and not in it.

    Args:
        ledger: the lines of attempts.jsonl.
        now: until when the newest attempt is counted that has no stop; none: it is not at work.
    """
    stopped = {line["attempt"]: _time(line) for line in ledger if line["event"] == "stop"}
    ranks = {line["attempt"]: int(line["world_size"]) for line in ledger if line["event"] in ("start", "placed")}
    starts, hours = _starts(ledger), 0.0
    for start in starts:
        attempt = start["attempt"]
        until = stopped.get(attempt, now if start is starts[-1] and now else _time(start))
        hours += (until - _time(start)).total_seconds() / 3600 * ranks[attempt]
    return hours


def _starts(ledger: Sequence[Line]) -> list[Line]:
    return [line for line in ledger if line["event"] == "start"]


def _time(line: Line) -> datetime:
    return datetime.fromisoformat(line["time"])
