"""What the driver knows of the ranks and they of its wishes: a board that all can reach. Nobody who trains ever waits for it."""

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psutil
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.scheduling.phases import Phase, Sighting

_BEAT_SECONDS = 1.0
_ANSWER_SECONDS = 5.0


class _Board:
    """The actor. It stamps with its own monotonic clock, so that no clock that is set matters."""

    def __init__(self) -> None:
        self._reports: dict[int, tuple[float, dict[str, Any]]] = {}
        self._wishes: dict[str, int] = {}

    def report(self, rank: int, report: dict[str, Any]) -> dict[str, int]:
        self._reports[rank] = (time.monotonic(), report)
        return self._wishes

    def read(self) -> list[dict[str, Any]]:
        now = time.monotonic()
        return [report | {"rank": rank, "silent_seconds": now - heard} for rank, (heard, report) in self._reports.items()]

    def wish(self, name: str, value: int) -> None:
        self._wishes[name] = value


class Board:
    """The driver's end. A board that dies is made again, and ranks are then known as they were last read."""

    def __init__(self) -> None:
        """On this node, of the connected cluster."""
        here = NodeAffinitySchedulingStrategy(node_id=ray.get_runtime_context().get_node_id(), soft=False)
        self.actor: Any = ray.remote(num_cpus=0, max_restarts=-1, scheduling_strategy=here)(_Board).remote()
        self._last: dict[int, tuple[float, dict[str, Any]]] = {}
        self._asked: Any = None

    def read(self, timeout_seconds: float = 1.0) -> list[Sighting]:
        """The ranks, as they were last heard of."""
        asked = self._asked or self.actor.read.remote()
        done, _ = ray.wait([asked], timeout=timeout_seconds)
        self._asked = None if done else asked
        now = time.monotonic()
        try:
            reports = ray.get(asked) if done else []
        except ray.exceptions.RayError:
            reports = []
        self._last |= {report["rank"]: (now, report) for report in reports}
        return [_sighting(report, now - read) for _, (read, report) in sorted(self._last.items())]

    def wish(self, name: str, value: int = 1) -> None:
        """Ask the ranks for something. They see it within a second or two."""
        self.actor.wish.remote(name, value)


def _sighting(report: Mapping[str, Any], since_read: float) -> Sighting:
    silent = report["silent_seconds"] + since_read
    return Sighting(**{**report, "silent_seconds": silent, "seconds": report["seconds"] + silent})


@dataclass(slots=True)
class _Place:
    """Where a rank is, and since when."""

    phase: Phase = "start"
    step: int = 0
    since: float = field(default_factory=time.monotonic)
    spent: dict[str, float] = field(default_factory=dict)

    def enter(self, phase: Phase, step: int) -> None:
        now = time.monotonic()
        self.spent[self.phase] = self.spent.get(self.phase, 0.0) + now - self.since
        self.phase, self.step, self.since = phase, step, now


class Beacon:
    """A rank's end: a thread tells the board every second where the rank is, so that telling costs a step nothing.

    A process that is stopped goes silent, and one that waits for it does not: that tells them apart.

    Attributes:
        node: Ray's id of the node that the rank is on.
        wishes: what the driver has asked for.
    """

    def __init__(self, board: Any, rank: int, log: str, *, look: Callable[[], None]) -> None:
        """
        Args:
            board: the board's actor.
            rank: this rank.
            log: its log file.
            look: called every second in the beacon's thread, for whatever else a rank must look at without waiting for it.
        """
        self._board, self._rank, self._look = board, rank, look
        self.node: str = ray.get_runtime_context().get_node_id()
        self._who = {
            "host": socket.gethostname(),
            "node": self.node,
            "pid": os.getpid(),
            "created": psutil.Process().create_time(),
            "log": log,
        }
        self._place, self._is_over = _Place(), False
        self._woken = threading.Event()
        self.wishes: Mapping[str, int] = {}
        self._thread = threading.Thread(target=self._beat, name="beacon", daemon=True)
        self._thread.start()

    def enter(self, phase: Phase, *, step: int | None = None) -> None:
        """Say which phase begins; `step` when one was made."""
        is_news = phase != self._place.phase
        self._place.enter(phase, self._place.step if step is None else step)
        if is_news:
            self._woken.set()

    def close(self) -> None:
        """Say that this rank is done, and see that it was heard."""
        self._place.enter("end", self._place.step)
        self._is_over = True
        self._woken.set()
        self._thread.join(_ANSWER_SECONDS)

    def _beat(self) -> None:
        while True:
            is_last = self._is_over
            self._tell()
            if is_last:
                return
            self._look()
            self._woken.wait(_BEAT_SECONDS)
            self._woken.clear()

    def _tell(self) -> None:
        place = self._place
        report = {
            **self._who,
            "phase": place.phase,
            "step": place.step,
            "seconds": time.monotonic() - place.since,
            "is_over": self._is_over,
            "spent": dict(place.spent) | {place.phase: place.spent.get(place.phase, 0.0) + time.monotonic() - place.since},
        }
        try:
            self.wishes = ray.get(self._board.report.remote(self._rank, report), timeout=_ANSWER_SECONDS)
        except ray.exceptions.RayError:  # it is being made again, or is slow: the next beat tells it all
            return
