"""Tasks run at once, as many as there are cores, and their results come in the order of the tasks."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.scheduling.tasks import RayPool


@dataclass(frozen=True, slots=True)
class Meeting:
    """A task that ends when all tasks of its table are there."""

    table: Path
    seat: int
    seats: int
    size: int = 1

    @property
    def name(self) -> str:
        return f"meeting at seat {self.seat}"


def meet(meeting: Meeting, deadline_seconds: float) -> tuple[int, int, str]:
    (meeting.table / str(meeting.seat)).touch()
    until = time.monotonic() + deadline_seconds
    while len(list(meeting.table.iterdir())) < meeting.seats and time.monotonic() < until:
        time.sleep(0.01)
    return meeting.seat, len(list(meeting.table.iterdir())), os.environ["RAYON_NUM_THREADS"]


def test_as_many_tasks_run_at_once_as_there_are_cores_and_none_uses_more_than_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    seats = min(4, len(os.sched_getaffinity(0)))
    tasks = [Meeting(tmp_path, seat, seats) for seat in range(seats)]
    ended: list[Meeting] = []
    with RayPool() as pool:
        assert pool.run(meet, tasks, [60.0], ended.append) == [(seat, seats, "1") for seat in range(seats)]
    assert sorted(meeting.seat for meeting in ended) == list(range(seats))
