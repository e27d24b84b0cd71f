"""How long attempts lasted, and how many ranks they held: by their stops, and by their logs where they were killed."""

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.spans import attempt_spans

MIDNIGHT = datetime(2026, 3, 14, tzinfo=UTC)
HOUR = 3600


def line(event: str, attempt: int, hours: float, **more: int) -> dict[str, object]:
    return {"event": event, "attempt": attempt, "time": (MIDNIGHT + timedelta(hours=hours)).isoformat().replace("+00:00", "Z"), **more}


def run_of(folder: Path, *lines: dict[str, object]) -> RunDirectory:
    run = RunDirectory(folder)
    run.attempts.write_text("".join(json.dumps(one) + "\n" for one in lines), encoding="utf-8")
    return run


def write_logs(run: RunDirectory, attempt: int, hours: Sequence[float]) -> None:
    """Logs that were last written then."""
    run.logs(attempt).mkdir(parents=True)
    for number, hour in enumerate(hours):
        path = run.logs(attempt) / f"node-{number}.log"
        path.write_text("")
        os.utime(path, (seconds(hour), seconds(hour)))


def seconds(hours: float) -> float:
    return (MIDNIGHT + timedelta(hours=hours)).timestamp()


def hours_of(run: RunDirectory, now: float | None = None) -> list[tuple[float, float, int]]:
    """Start, end and ranks of each attempt."""
    spans = attempt_spans(run, now=None if now is None else seconds(now))
    return [((span.start - seconds(0)) / HOUR, (span.end - seconds(0)) / HOUR, span.ranks) for span in spans]


def test_an_attempt_is_from_its_start_to_its_stop_with_the_ranks_that_were_placed(tmp_path: Path) -> None:
    run = run_of(
        tmp_path,
        line("start", 1, 0, world_size=8),
        line("placed", 1, 0.1, world_size=4),
        line("stop", 1, 2),
        line("start", 2, 5, world_size=8),
        line("stop", 2, 6),
    )
    assert hours_of(run) == [(0, 2, 4), (5, 6, 8)]
    assert [span.rank_hours for span in attempt_spans(run, now=None)] == pytest.approx([8, 8])


def test_one_that_was_killed_at_night_did_not_last_until_it_was_resumed(tmp_path: Path) -> None:
    run = run_of(tmp_path, line("start", 1, 0, world_size=8), line("start", 2, 22, world_size=8), line("stop", 2, 23))
    write_logs(run, 1, [1.0, 1.5])
    assert hours_of(run) == [(0, 1.5, 8), (22, 23, 8)]


@pytest.mark.parametrize(("written", "end"), [([], 3.0), ([2.0], 3.0), ([9.0], 5.0), ([4.0], 4.0)])
def test_what_was_killed_ends_between_its_start_and_the_next(tmp_path: Path, written: list[float], end: float) -> None:
    run = run_of(tmp_path, line("start", 1, 3, world_size=2), line("start", 2, 5, world_size=2), line("stop", 2, 6))
    if written:
        write_logs(run, 1, written)
    assert hours_of(run)[0] == (3, end, 2)


def test_the_newest_of_a_run_at_work_lasts_until_now_and_of_a_lost_one_until_its_last_word(tmp_path: Path) -> None:
    run = run_of(tmp_path, line("start", 1, 0, world_size=2), line("start", 2, 4, world_size=2))
    write_logs(run, 1, [1])
    write_logs(run, 2, [5])
    assert hours_of(run, now=7) == [(0, 1, 2), (4, 7, 2)]
    assert hours_of(run) == [(0, 1, 2), (4, 5, 2)]


def test_a_save_or_a_step_that_was_logged_is_a_sign_of_life_of_ranks_that_print_nothing(tmp_path: Path) -> None:
    run = run_of(tmp_path, line("start", 1, 0, world_size=2), line("start", 2, 10, world_size=2))
    write_logs(run, 1, [0.1])
    write_logs(run, 2, [10.1])
    events = [line("saved", 1, 3), line("saved", 1, 6), line("uploaded", 1, 8), line("saved", 2, 11)]
    run.events.write_text("".join(json.dumps(one) + "\n" for one in events), encoding="utf-8")
    run.metrics.write_text("")
    os.utime(run.metrics, (seconds(12), seconds(12)))
    assert hours_of(run) == [(0, 6, 2), (10, 12, 2)]


def test_between_two_attempts_of_a_run_at_work_none_goes_on(tmp_path: Path) -> None:
    run = run_of(tmp_path, line("start", 1, 0, world_size=2), line("stop", 1, 1))
    assert hours_of(run, now=7) == [(0, 1, 2)]


def test_a_run_that_was_never_started_has_none(tmp_path: Path) -> None:
    assert attempt_spans(RunDirectory(tmp_path), now=seconds(1)) == []
