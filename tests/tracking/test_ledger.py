"""What W&B is told of attempts, from the ledger alone."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.tracking.ledger import End, alerts, attempt_finder, end_of, num_attempts, rank_hours

BEGAN = datetime(2026, 3, 14, 9, 0, tzinfo=UTC)
Line = dict[str, Any]


def time(minutes: float) -> str:
    return (BEGAN + timedelta(minutes=minutes)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def start(attempt: int, from_step: int = 0, minutes: float = 0, world_size: int = 2) -> Line:
    return {"time": time(minutes), "event": "start", "attempt": attempt, "from_step": from_step, "world_size": world_size}


def placed(attempt: int, world_size: int) -> Line:
    return {"time": time(0), "event": "placed", "attempt": attempt, "world_size": world_size, "hosts": []}


def stop(attempt: int, step: int = 0, reason_class: str = "done", exit_code: int = 0, minutes: float = 0) -> Line:
    of_stop = {"step": step, "reason": "why", "class": reason_class, "exit_code": exit_code}
    return {"time": time(minutes), "event": "stop", "attempt": attempt, **of_stop}


@given(
    attempts=st.lists(
        st.tuples(st.floats(0, 1), st.integers(1, 12), st.sampled_from(["stopped", "killed", "stopped before it trained"])), max_size=8
    )
)
def test_every_line_that_stands_is_of_the_attempt_that_made_it_last(attempts: Sequence[tuple[float, int, str]]) -> None:
    ledger: list[Line] = []
    made_by: dict[int, int] = {}
    for number, (back, num_steps, end) in enumerate(attempts, 1):
        from_step = int(back * max(made_by, default=0))
        ledger.append(start(number, from_step))
        if end != "stopped before it trained":
            made = range(from_step + 1, from_step + num_steps + 1)
            made_by = {step: by for step, by in made_by.items() if step <= from_step} | dict.fromkeys(made, number)
        if end != "killed":
            ledger.append(stop(number, max(made_by, default=0) if end == "stopped" else from_step))
    assert {step: attempt_finder(ledger)(step) for step in made_by} == made_by
    assert num_attempts(ledger) == len(attempts)


def test_the_line_before_the_first_step_is_of_the_newest_attempt_that_begins_there() -> None:
    assert attempt_finder([start(1), stop(1), start(2), stop(2, 9), start(3, 5)])(0) == 2
    assert attempt_finder([])(0) is None


def test_a_last_step_that_was_made_and_not_heard_of_is_of_its_attempt() -> None:
    assert attempt_finder([start(1), stop(1, 10), start(2, 5), stop(2, 7)])(8) == 2


@pytest.mark.parametrize(
    ("reason_class", "level"),
    [
        *((name, "ERROR") for name in ("bug", "data", "numerics", "user")),
        *((name, "WARN") for name in ("preempted", "infrastructure")),
        *((name, "INFO") for name in ("stopped", "paused", "resize")),
    ],
)
def test_a_stop_before_the_end_is_told_as_bad_as_it_is(reason_class: str, level: str) -> None:
    (alert,) = alerts([start(1), stop(1, 7, reason_class, 1), start(2, 5), stop(2, 10)], "tiny")
    assert (alert.attempt, alert.title, alert.text) == (1, f"attempt 1 stopped: {reason_class}", "tiny, after step 7: why")
    assert (alert.level, len(alert.title) < 64) == (level, True)


@pytest.mark.parametrize(
    ("ledger", "is_held", "end"),
    [
        ([], False, End(exit_code=0, is_preempted=False)),
        ([start(1), stop(1, 9, "bug", 1), start(2, 5), stop(2, 10)], False, End(exit_code=0, is_preempted=False)),
        ([start(1), stop(1, 9, "numerics", 5)], True, End(exit_code=5, is_preempted=False)),
        ([start(1), stop(1, 9, "preempted", 75)], True, End(exit_code=75, is_preempted=True)),
        ([start(1), stop(1, 0, "infrastructure", 75)], True, End(exit_code=75, is_preempted=True)),
        ([start(1), stop(1, 9, "bug", 1), start(2, 5)], False, End(exit_code=6, is_preempted=False)),
        ([start(1), stop(1, 9, "bug", 1), start(2, 5)], True, End(exit_code=0, is_preempted=False)),
    ],
    ids=["never started", "done at last", "failed", "preempted", "without nodes", "killed", "at work"],
)
def test_a_run_ends_as_its_newest_attempt_does(ledger: list[Line], is_held: bool, end: End) -> None:
    assert end_of(ledger, is_held=is_held) == end


def test_hours_are_of_all_ranks_from_start_to_stop_and_of_the_newest_attempt_until_now() -> None:
    ledger = [start(1), placed(1, 4), stop(1, minutes=30), start(2, minutes=60), start(3, minutes=120, world_size=1)]
    assert rank_hours(ledger, None) == pytest.approx(2.0)
    assert rank_hours(ledger, BEGAN + timedelta(minutes=180)) == pytest.approx(3.0)
    assert rank_hours([], None) == 0
