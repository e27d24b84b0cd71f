"""Every second of a run is accounted for, once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator.report.goodput import Spent, account

BEGAN = datetime(2026, 3, 14, 9, 0, tzinfo=UTC)


def at(seconds: float) -> str:
    return (BEGAN + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def start(attempt: int, seconds: float) -> dict[str, Any]:
    return {"event": "start", "attempt": attempt, "time": at(seconds)}


def stop(attempt: int, seconds: float, last_step: int, /, **phases: float) -> dict[str, Any]:
    return {"event": "stop", "attempt": attempt, "time": at(seconds), "step": last_step, "seconds": phases}


def lines(steps: int, wait: float) -> list[dict[str, Any]]:
    return [{"step": 0}] + [{"step": step, "data_wait_seconds": wait} for step in range(10, steps + 1, 10)]


def test_one_attempt_is_divided_into_its_phases_and_the_rest_is_starting() -> None:
    ledger = [start(1, 0), stop(1, 200, 100, start=10, load=20, first_step=5, step=120, save=6, evaluate=4, end=5)]
    spent = account(ledger, [], lines(100, 0.1))
    assert spent == Spent(starting=60, first_step=5, steps=110, data_wait=10, saving=6, evaluating=4, ending=5)
    assert spent.total == pytest.approx(200)
    assert spent.goodput == pytest.approx(0.55)


def test_steps_that_were_made_again_and_the_time_between_attempts_are_no_goodput() -> None:
    ledger = [
        start(1, 0),
        stop(1, 100, 80, step=80),
        start(2, 130),
        stop(2, 190, 100, step=40),
    ]
    spent = account(ledger, [{"event": "resumed", "attempt": 2, "step": 60}], lines(100, 0.0))
    assert (spent.again, spent.down, spent.steps) == (20, 30, 100)
    assert spent.total == pytest.approx(190)


def test_an_attempt_that_was_killed_is_lost_until_the_next_one() -> None:
    ledger = [start(1, 0), start(2, 70), stop(2, 100, 10, step=20)]
    spent = account(ledger, [], lines(10, 0.0))
    assert spent == Spent(lost=70, steps=20, starting=10)


def test_a_run_that_is_at_work_or_was_never_started_has_spent_nothing_yet() -> None:
    assert account([], [], []) == account([start(1, 0)], [], lines(10, 0.0)) == Spent()
