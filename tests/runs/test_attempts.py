"""The ledger of attempts and the lock tell how a run stands, whatever became of its processes."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import RunExistsError
from orchestrator.report.records import pair_attempts
from orchestrator.runs.attempts import Status, Stop, enter_placement, only_attempt, read_status, start_attempt, stop_attempt
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines

DONE = Stop(step=10, reason="all steps are done", reason_class="done", exit_code=0)
PREEMPTED = Stop(step=4, reason="stopped by SIGTERM", reason_class="preempted", exit_code=75)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path)


def ledger(run: RunDirectory) -> list[dict[str, object]]:
    return [json.loads(line) for line in run.attempts.read_text().splitlines()]


def test_a_start_and_a_stop_are_a_line_each_with_all_that_is_known(run: RunDirectory) -> None:
    attempt = start_attempt(run, world_size=2, from_step=0)
    stop_attempt(run, attempt, PREEMPTED)
    start, stop = ledger(run)
    assert [start[key] for key in ("event", "attempt", "world_size", "from_step")] == ["start", 1, 2, 0]
    assert {"host", "time"} <= set(start)
    assert [stop[key] for key in ("event", "attempt", "step", "reason", "class", "exit_code")] == [
        "stop",
        1,
        4,
        "stopped by SIGTERM",
        "preempted",
        75,
    ]
    assert "time" in stop


def test_lines_are_only_ever_added(run: RunDirectory) -> None:
    before = b""
    for attempt in range(1, 4):
        assert start_attempt(run, world_size=1, from_step=attempt) == attempt
        stop_attempt(run, attempt, PREEMPTED)
        now = run.attempts.read_bytes()
        assert now.startswith(before)
        before = now


def test_a_reason_of_many_lines_and_scripts_stays_one_line(run: RunDirectory) -> None:
    reason = 'first\nsecond\u2028 "third" ☃ \x85'
    stop_attempt(run, start_attempt(run, world_size=1, from_step=0), Stop(step=0, reason=reason, reason_class="bug", exit_code=1))
    assert len(run.attempts.read_text().splitlines()) == 2
    assert read_status(run).reason == reason


def test_a_run_that_was_never_started_is_planned(run: RunDirectory) -> None:
    assert read_status(run) == Status(state="planned", attempts=0)
    assert list(run.root.iterdir()) == []


def test_a_run_whose_lock_is_held_is_running(run: RunDirectory) -> None:
    with only_attempt(run):
        start_attempt(run, world_size=1, from_step=0)
        assert read_status(run) == Status(host=socket.gethostname(), state="running", attempts=1)


def test_a_run_that_ended_well_is_finished(run: RunDirectory) -> None:
    with only_attempt(run):
        stop_attempt(run, start_attempt(run, world_size=1, from_step=0), DONE)
    assert read_status(run) == Status(
        host=socket.gethostname(), state="finished", attempts=1, reason="all steps are done", reason_class="done", exit_code=0
    )


def test_a_run_that_was_stopped_tells_why(run: RunDirectory) -> None:
    stop_attempt(run, start_attempt(run, world_size=1, from_step=0), PREEMPTED)
    assert read_status(run) == Status(
        host=socket.gethostname(), state="stopped", attempts=1, reason="stopped by SIGTERM", reason_class="preempted", exit_code=75
    )


def test_a_run_that_stopped_is_running_again_in_its_next_attempt(run: RunDirectory) -> None:
    stop_attempt(run, start_attempt(run, world_size=1, from_step=0), PREEMPTED)
    with only_attempt(run):
        start_attempt(run, world_size=1, from_step=4)
        assert read_status(run) == Status(host=socket.gethostname(), state="running", attempts=2)


def test_a_second_holder_of_the_lock_is_refused_and_the_first_keeps_it(run: RunDirectory) -> None:
    with only_attempt(run):
        for _ in range(2):
            with pytest.raises(RunExistsError, match=rf"{run.root} is running already"), only_attempt(run):
                pass
    with only_attempt(run):
        pass


def test_the_lock_is_let_go_when_an_attempt_raises(run: RunDirectory) -> None:
    with pytest.raises(ValueError, match="broken"), only_attempt(run):
        raise ValueError("broken")
    with only_attempt(run):
        pass


HOLDER = """
import sys
from pathlib import Path
from orchestrator.runs.attempts import only_attempt, start_attempt
from orchestrator.runs.directory import RunDirectory
run = RunDirectory(Path(sys.argv[1]))
with only_attempt(run):
    start_attempt(run, world_size=1, from_step=0)
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(run: RunDirectory) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the run and has started an attempt."""
    words = [sys.executable, "-c", HOLDER, str(run.root)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_process_that_was_killed_leaves_a_lost_run_that_can_go_on(run: RunDirectory, holder: subprocess.Popen[str]) -> None:
    assert read_status(run).state == "running"
    with pytest.raises(RunExistsError), only_attempt(run):
        pass
    holder.kill()
    holder.wait()
    status = read_status(run)
    assert (status.state, status.attempts, status.exit_code) == ("lost", 1, None)
    assert status.reason
    with only_attempt(run):
        assert start_attempt(run, world_size=1, from_step=0) == 2


@pytest.mark.parametrize("torn", ['{"time": "2026-01-01T00:00:00Z", "ev', '{"time": "2026-01-01T00:00:00Z", "event": "stop"'])
def test_a_last_line_that_a_power_cut_tore_is_not_a_line(run: RunDirectory, torn: str) -> None:
    start_attempt(run, world_size=1, from_step=0)
    with run.attempts.open("a") as file:
        file.write(torn)
    assert read_status(run).state == "lost"
    assert start_attempt(run, world_size=1, from_step=0) == 2
    stop_attempt(run, 2, DONE)
    assert read_status(run) == Status(
        host=socket.gethostname(), state="finished", attempts=2, reason="all steps are done", reason_class="done", exit_code=0
    )


def test_a_run_that_was_lost_on_its_way_to_another_world_size_is_not_finished(run: RunDirectory) -> None:
    resized = Stop(step=50, reason="to go on at another world size", reason_class="resize", exit_code=0)
    stop_attempt(run, start_attempt(run, world_size=2, from_step=0), resized)
    assert read_status(run).state == "stopped"


def test_a_stop_that_an_older_attempt_enters_late_does_not_hide_the_newer_one(run: RunDirectory) -> None:
    older = start_attempt(run, world_size=2, from_step=0)
    start_attempt(run, world_size=2, from_step=0)
    stop_attempt(run, older, DONE)
    assert read_status(run).state == "lost"


def test_a_placement_says_where_the_ranks_are_and_how_long_they_were_in_each_phase_the_stop(run: RunDirectory) -> None:
    attempt = start_attempt(run, world_size=4, from_step=0)
    enter_placement(run, attempt, world_size=3, hosts=["a", "b"])
    assert read_status(run).state == "lost"
    stop_attempt(run, attempt, replace(DONE, seconds={"load": 1.23456}))
    _, placed, stop = ledger(run)
    assert [placed[key] for key in ("event", "attempt", "world_size", "hosts")] == ["placed", 1, 3, ["a", "b"]]
    assert stop["seconds"] == {"load": 1.235}
    assert pair_attempts(read_lines(run.attempts))[0].world_size == 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ledger")


@settings(deadline=None, max_examples=40)
@given(endings=st.lists(st.sampled_from(["finished", "stopped", "lost"]), min_size=1, max_size=5))
def test_the_last_attempt_decides_the_state_and_every_start_counts(folder: Path, endings: list[str]) -> None:
    run = RunDirectory(folder)
    run.attempts.unlink(missing_ok=True)
    for ending in endings:
        attempt = start_attempt(run, world_size=1, from_step=0)
        if ending != "lost":
            stop_attempt(run, attempt, DONE if ending == "finished" else PREEMPTED)
    status = read_status(run)
    assert (status.state, status.attempts) == (endings[-1], len(endings))
