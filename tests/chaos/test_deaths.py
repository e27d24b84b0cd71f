"""Processes die and hang, one by one and all at once."""

import re
from pathlib import Path

from tests.chaos.breaking import (
    EVERY,
    STEPS,
    below,
    classes,
    ended,
    events,
    finishes,
    is_alive,
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
    assert ["Thread 0x" in log.read_text() for log in (run / "logs" / "1").glob("*-[01].log")] == [True, True]
    finishes(run, reference)


def test_the_driver_of_the_attempt_is_killed(folder: Path, reference: Path) -> None:
    run = folder / "runs" / "driver"
    with train(run, folder) as process:
        wait_for_step(run, moment("driver"), process)
        below(process, "orchestrator.scheduling.driver")[0].kill()
        ended(process)
    assert classes(run) == ["infrastructure", "done"]
    finishes(run, reference)


def test_the_command_is_killed_between_insurance_saves(folder: Path, reference: Path) -> None:
    run = folder / "runs" / "command"
    (folder / "fault").touch()
    changes = {"checkpoints.every_steps": STEPS, "checkpoints.insurance_minutes": 0.02}
    with train(run, folder, fault="slow steps", changes=changes) as process:
        wait_for(lambda: len(events(run, "saved")) > 2 or process.poll() is not None)
        gone = below(process, "")
        process.kill()
        process.wait()
        wait_for(lambda: not any(map(is_alive, gone)), seconds=60)
    (folder / "fault").unlink()
    assert classes(run) == []
    saved = events(run, "saved")
    assert {save["kind"] for save in saved} == {"insurance"}
    assert [save["step"] for save in saved if is_saved(run, save["step"])] == [save["step"] for save in saved[-2:]]
    with resume(run, folder) as process:
        assert f"from step {saved[-1]['step']}" in ended(process)
    finishes(run, reference)


def test_the_raylet_is_killed(folder: Path, reference: Path) -> None:
    run = folder / "runs" / "raylet"
    with train(run, folder, fault="slow steps") as process:
        wait_for_step(run, moment("raylet"), process)
        (folder / "fault").touch()  # Ray takes up to half a minute to see it, and its ranks work on
        below(process, "/raylet/raylet")[0].kill()
        wait_for(lambda: classes(run) or process.poll() is not None)
        (folder / "fault").unlink()
        ended(process)
    assert classes(run) == ["infrastructure", "done"]
    finishes(run, reference)


def test_a_feed_worker_is_killed_and_later_all_of_them(folder: Path, reference: Path) -> None:
    run = folder / "runs" / "workers"
    with train(run, folder) as process:
        wait_for_step(run, moment("a feed worker") // 2, process)
        first, second = below(process, "ray::_Worker")
        first.kill()
        wait_for_step(run, STEPS // 2 + moment("all feed workers") // 3, process)
        workers = below(process, "ray::_Worker")
        assert second in workers and first not in workers and len(workers) == 2
        for worker in workers:
            worker.kill()
        ended(process)
    assert classes(run) == ["done"]
    finishes(run, reference)


def is_being_saved(run: Path) -> bool:
    newest = max((run / "checkpoints").glob("step_*"))
    return any((newest / "state").glob("*")) and not (newest / "COMMIT").exists()


def test_everything_is_killed_in_the_middle_of_a_save(folder: Path, reference: Path) -> None:
    run = folder / "runs" / "tree"
    with train(run, folder, fault="slow") as process:
        good = moment("everything") // EVERY * EVERY
        wait_for(lambda: is_saved(run, good) or process.poll() is not None)
        (folder / "fault").touch()
        wait_for(lambda: is_being_saved(run) or process.poll() is not None)
        saving = max((run / "checkpoints").glob("step_*"))
        kill_tree(process)
    step = int(saving.name.removeprefix("step_"))
    assert not is_saved(run, step)
    (folder / "fault").unlink()
    with resume(run, folder) as process:
        said = ended(process)
    assert step - EVERY >= good
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
            said = ended(first, code=2)
            assert "was taken over by attempt 2 on host" in said
            (folder / "fault").unlink()
            ended(second)
    assert classes(run) == ["done"]
    finishes(run, reference)
    assert last_step(run) and not events(run, "set_aside")
