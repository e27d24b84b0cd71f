"""The phases of a rank, and what is known of one at a moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.config.operation import DeadlinesConfig

Phase = Literal["start", "load", "first_step", "step", "save", "evaluate", "end"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """A rank, as it was last heard of.

    Attributes:
        rank: its number.
        host, node, pid, created: where it is: the host's name, Ray's id of the node, its process and when that was created.
        log: its log file.
        phase: which phase it is in.
        step: updates made so far.
        seconds: since it entered the phase; in `step`, since it ended the last one.
        silent_seconds: since it was last heard; `seconds` counts them, too.
        is_over: whether it said that it is done.
        spent: seconds in each phase so far.
    """

    rank: int
    host: str
    node: str
    pid: int
    created: float
    log: str
    phase: Phase
    step: int
    seconds: float
    silent_seconds: float
    is_over: bool = False
    spent: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"rank {self.rank} (host {self.host}, pid {self.pid})"


def limits(deadlines: DeadlinesConfig) -> dict[Phase, float]:
    """Seconds that each phase may take."""
    return {
        "start": deadlines.start,
        "load": deadlines.load,
        "first_step": deadlines.first_step,
        "step": deadlines.step,
        "save": deadlines.save,
        "evaluate": deadlines.evaluate,
        "end": deadlines.end,
    }
