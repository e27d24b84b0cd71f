"""From when to when each attempt of a run held its ranks, those that were killed too."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """When an attempt ran.

    Attributes:
        start, end: in seconds since 1970; end is not before start.
        ranks: how many it had.
    """

    start: float
    end: float
    ranks: int

    @property
    def seconds(self) -> float:
        return self.end - self.start

    @property
    def rank_hours(self) -> float:
        return self.seconds * self.ranks / 3600


def attempt_spans(run: RunDirectory, *, now: float | None) -> list[Span]:
    """The attempts of a run, in order.

    One ends with its stop. What was killed has none: it ends when something was last written into its logs, and no later than the next one
    started. The time between attempts is in none of them.

    Args:
        run: its directory.
        now: in seconds since 1970, until when the newest attempt goes on that has no stop; none: the run is not at work.

    Raises:
        DataError: a line of the ledger is damaged.
    """
    lines = list(read_lines(run.attempts))
    starts = {line["attempt"]: _seconds(line) for line in lines if line["event"] == "start"}
    stops = {line["attempt"]: _seconds(line) for line in lines if line["event"] == "stop"}
    ranks = {line["attempt"]: int(line["world_size"]) for line in lines if line["event"] in ("start", "placed")}
    spans: list[Span] = []
    for attempt, start in reversed(starts.items()):
        known = stops.get(attempt, None if spans else now)
        end = _last_written(run, attempt, start, spans[-1].start if spans else None) if known is None else known
        spans.append(Span(start=start, end=max(start, end), ranks=ranks[attempt]))
    return spans[::-1]


def wall_seconds(spans: Iterable[Span]) -> float:
    """How long any of them lasted, those side by side counted once."""
    total, until = 0.0, float("-inf")
    for span in sorted(spans, key=lambda span: span.start):
        total += max(0.0, span.end - max(span.start, until))
        until = max(until, span.end)
    return total


def _last_written(run: RunDirectory, attempt: int, start: float, next_start: float | None) -> float:
    """When any log of an attempt was last written; its start where it left none."""
    folder = run.logs(attempt)
    times = [path.stat().st_mtime for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    newest = max(times, default=start)
    return newest if next_start is None else min(newest, next_start)


def _seconds(line: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(line["time"]).timestamp()
