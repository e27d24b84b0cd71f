"""From when to when each attempt of a run held its ranks, those that were killed too."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines

_OF_RANKS = ("resumed", "saved", "skipped")  # events; uploads can outlast the ranks


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

    One ends with its stop. What was killed has none: it ends with its last sign of life, when something was last written into its logs, its
    ranks last entered an event or, of the newest, a step was last logged; and no later than the next one started. It may have lasted
    longer by what it trained in silence. The time between attempts is in none of them.

    Args:
        run: its directory.
        now: in seconds since 1970, until when the newest attempt goes on that has no stop; none: the run is not at work.

    Raises:
        DataError: a line of the ledger, or of the events, is damaged.
    """
    lines = list(read_lines(run.attempts))
    starts = {line["attempt"]: _seconds(line) for line in lines if line["event"] == "start"}
    stops = {line["attempt"]: _seconds(line) for line in lines if line["event"] == "stop"}
    ranks = {line["attempt"]: int(line["world_size"]) for line in lines if line["event"] in ("start", "placed")}
    spans: list[Span] = []
    for attempt, start in reversed(starts.items()):
        known = stops.get(attempt, None if spans else now)
        end = _last_sign(run, attempt, spans[-1].start if spans else None) if known is None else known
        spans.append(Span(start=start, end=max(start, end), ranks=ranks[attempt]))
    return spans[::-1]


def wall_seconds(spans: Iterable[Span]) -> float:
    """How long any of them lasted, those side by side counted once."""
    total, until = 0.0, float("-inf")
    for span in sorted(spans, key=lambda span: span.start):
        total += max(0.0, span.end - max(span.start, until))
        until = max(until, span.end)
    return total


def _last_sign(run: RunDirectory, attempt: int, next_start: float | None) -> float:
    """When an attempt that was killed last gave a sign of life; 0 where it left none.

    Args:
        run: its directory.
        attempt: of it.
        next_start: of the one after it, which has written its own steps in the place of those; none: there is none.
    """
    logs = run.logs(attempt)
    written = [*(logs.iterdir() if logs.is_dir() else ()), *([run.metrics] if next_start is None and run.metrics.exists() else ())]
    signs = [path.stat().st_mtime for path in written]
    signs += [_seconds(line) for line in read_lines(run.events) if line["attempt"] == attempt and line["event"] in _OF_RANKS]
    newest = max(signs, default=0.0)
    return newest if next_start is None else min(newest, next_start)


def _seconds(line: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(line["time"]).timestamp()
