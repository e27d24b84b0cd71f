"""Tasks run at once, as many as there are cores and no more, and their results come in the order of the tasks."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.scheduling.tasks import RayPool


@dataclass(frozen=True, slots=True)
class Meeting:
    """A task that waits until all seats of a table are taken."""

    table: Path
    seats: int
    number: int
    size: int = 1

    @property
    def name(self) -> str:
        return f"meeting {self.number}"


def meet(meeting: Meeting, deadline_seconds: float) -> tuple[int, int, str]:
    """Its number, how many are at the table, and how many threads a tokenizer may start."""
    own, full, until = meeting.table / f"task_{meeting.number}", meeting.table / "full", time.monotonic() + deadline_seconds
    own.touch()
    while not full.exists() and time.monotonic() < until:
        if len(list(meeting.table.glob("task_*"))) >= meeting.seats:
            full.touch()
        time.sleep(0.01)
    time.sleep(0.5)  # for one more than there are seats
    present = len(list(meeting.table.glob("task_*")))
    own.unlink()
    return meeting.number, present, os.environ["RAYON_NUM_THREADS"]


def test_as_many_tasks_run_at_once_as_there_are_cores_with_a_thread_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    seats = len(os.sched_getaffinity(0))
    tasks = [Meeting(tmp_path, seats, number) for number in range(seats + 1)]
    ended: list[Meeting] = []
    with RayPool() as pool:
        numbers, present, threads = zip(*pool.run(meet, tasks, [60.0], ended.append), strict=True)
    assert (list(numbers), max(present), set(threads)) == (list(range(seats + 1)), seats, {"1"})
    assert sorted(meeting.number for meeting in ended) == list(numbers)
