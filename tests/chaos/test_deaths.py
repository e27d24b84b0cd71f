"""Processes die and hang, one by one and all at once."""

import re
from pathlib import Path

import pytest

from tests.chaos.breaking import (
    EVERY,
    below,
    classes,
    ended,
    events,
    finishes,
    is_saved,
    kill_tree,
    last_step,
    moment,
    ranks,
    resume,
    stops,
    train,
    wait_for,
    wait_for_step,
)


def test_a_rank_is_killed(folder: Path, reference: Path) -> None:
    run = folder / "runs" / "rank"
    with train(run, folder) as process:
        wait_for_step(run, moment("rank"), process)
        ranks(process)[1].kill()
        said = ended(process)
    assert classes(run) == ["infrastructure", "done"]
    assert re.search(r"the process of rank \d \(host .+, pid \d+\) died", said)
    finishes(run, reference)


def test_a_rank_hangs(folder: Path, reference: Path) -> None:
    run = folder / "runs" / "hang"
    with train(run, folder) as process:
        wait_for_step(run, moment("hang"), process)
        hung = ranks(process)[0]
        hung.suspend()
        ended(process)
    assert classes(run) == ["infrastructure", "done"]
    reason = stops(run)[0]["reason"]
    assert f"pid {hung.pid}" in reason
    assert "stopped (state T)" in reason
    assert all("Thread 0x" in log.read_text() for log in (run / "logs" / "1").glob("*-[01].log"))
    finishes(run, reference)


def test_the_driver_of_the_attempt_is_killed(folder: Path, reference: Path) -> None:
    run = folder / "runs" / "driver"
    with train(run, folder) as process:
        wait_for_step(run, moment("driver"), process)
        below(process, "orchestrator.scheduling.driver")[0].kill()
        ended(process)
    assert classes(run) == ["infrastructure", "done"]
    finishes(run, reference)


def test_the_command_is_killed(folder: Path, reference: Path) -> None:
    run = folder / "runs" / "command"
    with train(run, folder) as process:
        wait_for_step(run, moment("command"), process)
        gone = below(process, "")
        process.kill()
        process.wait()
        wait_for(lambda: not any(one.is_running() and one.status() != "zombie" for one in gone), seconds=60)
    assert classes(run) == []
    with resume(run, folder) as process:
        ended(process)
    finishes(run, reference)


def test_the_raylet_is_killed(folder: Path, reference: Path) -> None:
    run = folder / "runs" / "raylet"
    with train(run, folder) as process:
        wait_for_step(run, moment("raylet"), process)
        below(process, "/raylet/raylet")[0].kill()
        ended(process)
    assert classes(run) == ["infrastructure", "done"]
    finishes(run, reference)


@pytest.mark.parametrize("whom", ["one", "all"])
def test_feed_workers_are_killed(folder: Path, reference: Path, whom: str) -> None:
    run = folder / "runs" / f"workers-{whom}"
    with train(run, folder) as process:
        wait_for_step(run, moment(f"workers {whom}"), process)
        workers = below(process, "ray::_Worker")
        assert len(workers) == 2
        for worker in workers if whom == "all" else workers[:1]:
            worker.kill()
        ended(process)
    assert classes(run) == ["done"]
    finishes(run, reference)


def test_everything_is_killed_in_the_middle_of_a_save(folder: Path, reference: Path) -> None:
    run = folder / "runs" / "tree"
    (folder / "fault").touch()
    with train(run, folder, fault="slow") as process:
        wait_for(lambda: (run / "checkpoints").exists() and any((run / "checkpoints").glob("step_*/state/*")))
        saving = max((run / "checkpoints").glob("step_*"))
        kill_tree(process)
    step = int(saving.name.removeprefix("step_"))
    assert not is_saved(run, step)
    (folder / "fault").unlink()
    with resume(run, folder) as process:
        said = ended(process)
    assert f"from step {step - EVERY}" in said
    finishes(run, reference)


def test_a_second_attempt_is_refused_where_the_lock_is_seen_and_takes_over_where_it_is_not(folder: Path, reference: Path) -> None:
    run = folder / "runs" / "second"
    with train(run, folder, fault="slow") as first:
        (folder / "fault").touch()  # saves are slow, so that the first one is still at work when the second one comes
        wait_for_step(run, moment("second") // 2, first)
        with resume(run, folder) as refused:
            assert "is running already" in ended(refused, code=2)
        (run / ".lock").unlink()
        with resume(run, folder) as second:
            said = ended(first, code=75)
            assert "was taken over by attempt 2 on host" in said
            (folder / "fault").unlink()
            ended(second)
    assert classes(run) == ["done"]
    finishes(run, reference)
    assert last_step(run) and not events(run, "set_aside")
