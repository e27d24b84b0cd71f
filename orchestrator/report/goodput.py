"""Where every second of a run went, over all its attempts."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

Line = Mapping[str, Any]
_STARTING = ("start", "load")


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """Seconds, by what they went into. Those of an attempt that could not say how it ended are `lost` until the next one started.

    Attributes:
        starting: until the first batch: Ray, placement, imports, the model, the checkpoint; and taking Ray down.
        first_step: first batches, and what was compiled.
        steps: updates that stayed, the wait for their data not counted.
        data_wait: for data, of those steps.
        saving: training stood still for checkpoints.
        evaluating: held-out losses.
        again: updates that a later attempt made again.
        ending: the ranks' last phase, after the last step.
        down: between attempts.
        lost: attempts that were killed.
    """

    starting: float = 0.0
    first_step: float = 0.0
    steps: float = 0.0
    data_wait: float = 0.0
    saving: float = 0.0
    evaluating: float = 0.0
    again: float = 0.0
    ending: float = 0.0
    down: float = 0.0
    lost: float = 0.0

    @property
    def total(self) -> float:
        return sum(float(getattr(self, field.name)) for field in fields(self))

    @property
    def goodput(self) -> float:
        """The share of all seconds in which updates were made that stayed."""
        return self.steps / self.total if self.total else 0.0


def account(ledger: Sequence[Line], events: Iterable[Line], metrics: Iterable[Line]) -> Spent:
    """Add up the attempts that have ended.

    Args:
        ledger: the lines of attempts.jsonl.
        events: of events.jsonl.
        metrics: of metrics.jsonl.
    """
    starts = {line["attempt"]: line for line in ledger if line["event"] == "start"}
    stops = {line["attempt"]: line for line in ledger if line["event"] == "stop"}
    resumed = {line["attempt"]: line["step"] for line in events if line["event"] == "resumed"}
    spent: dict[str, float] = {field.name: 0.0 for field in fields(Spent)}
    for attempt, following in itertools.zip_longest(starts, list(starts)[1:]):
        next_start = _seconds(starts[following]) if following is not None else None
        stop = stops.get(attempt)
        if stop is None:
            spent["lost"] += next_start - _seconds(starts[attempt]) if next_start is not None else 0.0
            continue
        _add(spent, starts[attempt], stop)
        if next_start is not None:
            spent["down"] += max(0.0, next_start - _seconds(stop))
            _move_to_again(spent, stop, made_from=resumed.get(attempt, 0), kept=resumed.get(following, 0))
    waited = _data_wait(metrics)
    spent["data_wait"] = min(waited, spent["steps"])
    spent["steps"] -= spent["data_wait"]
    return Spent(**spent)


def _add(spent: dict[str, float], start: Line, stop: Line) -> None:
    phases: Mapping[str, float] = stop.get("seconds", {})
    whole = max(0.0, _seconds(stop) - _seconds(start))
    named = {"first_step": "first_step", "step": "steps", "save": "saving", "evaluate": "evaluating"}
    for phase, into in named.items():
        spent[into] += phases.get(phase, 0.0)
    inside = sum(phases.get(phase, 0.0) for phase in named)
    starting = sum(phases.get(phase, 0.0) for phase in _STARTING)
    outside = max(0.0, whole - inside - starting - phases.get("end", 0.0))  # the driver's: a cluster up, a cluster down
    spent["starting"] += starting + outside
    spent["ending"] += phases.get("end", 0.0)


def _move_to_again(spent: dict[str, float], stop: Line, *, made_from: int, kept: int) -> None:
    made = stop["step"] - made_from
    seconds = stop.get("seconds", {}).get("step", 0.0)
    again = seconds * min(1.0, max(0, stop["step"] - kept) / made) if made > 0 else 0.0
    spent["again"] += again
    spent["steps"] -= again


def _data_wait(metrics: Iterable[Line]) -> float:
    """Of the steps that stayed: lines of steps made again are no more."""
    lines = [line for line in metrics if line["step"] > 0]
    before = [0, *(line["step"] for line in lines)]
    waits: list[float] = [line.get("data_wait_seconds", 0.0) * (line["step"] - last) for line, last in zip(lines, before, strict=False)]
    return sum(waits)


def _seconds(line: Line) -> float:
    return datetime.fromisoformat(line["time"]).timestamp()
