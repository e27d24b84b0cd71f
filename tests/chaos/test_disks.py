"""Disks are full, spent, broken and lie."""

import errno
import os
import subprocess
from pathlib import Path

import pytest

from orchestrator.checkpoints.store import step_directory
from orchestrator.config.load import dump_config, load_config
from orchestrator.mixture.plan_file import write_plan
from orchestrator.runs.directory import RunDirectory, create_run
from tests.chaos.breaking import (
    CHANGES,
    EVERY,
    STEPS,
    classes,
    ended,
    events,
    finishes,
    is_saved,
    moment,
    resume,
    stops,
    train,
    wait_for,
)
from tests.support.tiny import overrides


def test_a_quota_is_spent_and_later_the_disk_is_broken_for_a_while(folder: Path, reference: Path) -> None:
    run = folder / "runs" / "writes"
    with train(run, folder, fault="errno") as process:
        break_a_save(process, run, folder, errno.EDQUOT, after=EVERY)
        break_a_save(process, run, folder, errno.EIO, after=4 * EVERY)
        said = ended(process)
    failed = [event["step"] for event in events(run, "save_failed")]
    assert failed == [2 * EVERY, 5 * EVERY]
    for step, number in zip(failed, (errno.EDQUOT, errno.EIO), strict=True):
        assert f"step {step} was not saved: rank 1: [Errno {number}] {os.strerror(number)}" in said
        assert not is_saved(run, step)
    assert classes(run) == ["done"]
    finishes(run, reference)


def break_a_save(process: subprocess.Popen[str], run: Path, folder: Path, number: int, *, after: int) -> None:
    """Once a step is saved, have the next save fail."""
    wait_for(lambda: is_saved(run, after) or process.poll() is not None)
    failed = len(events(run, "save_failed"))
    (folder / "coming").write_text(str(number))
    (folder / "coming").rename(folder / "fault")
    wait_for(lambda: len(events(run, "save_failed")) > failed or process.poll() is not None)
    (folder / "fault").unlink()


def planned(run: Path, folder: Path) -> RunDirectory:
    """The small run, made and not begun."""
    from orchestrator.commands.planning import plan_run

    config = load_config(overrides(folder, **CHANGES | {"run.dir": run, "run.name": run.name, "scheduling.budgets.infrastructure": 0}))
    plan = plan_run(config)
    return create_run(run, config=dump_config(config), write_plan=lambda path: write_plan(plan, path))


def test_the_disk_is_full(folder: Path, reference: Path) -> None:
    made = planned(folder / "runs" / "full", folder)
    made.checkpoints.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", made.checkpoints], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        with resume(made.root, folder) as process:
            said = ended(process, code=6)
        kept = [step for step in range(EVERY, STEPS + 1, EVERY) if is_saved(made.root, step)]
        assert kept == [EVERY, 2 * EVERY]
        assert f"step {3 * EVERY} was not saved" in said
        assert "No space left on device" in said
        assert [event["step"] for event in events(made.root, "save_failed")] == [3 * EVERY, 4 * EVERY, 5 * EVERY, 6 * EVERY]
        assert classes(made.root) == ["infrastructure"]
        subprocess.run(["mount", "-o", "remount,size=64m", made.checkpoints], check=True)
        with resume(made.root, folder) as process:
            assert f"from step {2 * EVERY}" in ended(process)
        finishes(made.root, reference)
    finally:
        subprocess.run(["umount", "-l", made.checkpoints], check=True)


def test_a_byte_of_the_newest_checkpoint_is_flipped_and_the_commit_of_the_one_before_cut_short(folder: Path, reference: Path) -> None:
    run = folder / "runs" / "damaged"
    newest = (2 + moment("damage") // EVERY) * EVERY
    with train(run, folder, "--until-step", str(newest)) as process:
        ended(process)
    flip_a_byte(step_directory(run / "checkpoints", newest) / "state" / "rank_00001.safetensors")
    commit = step_directory(run / "checkpoints", newest - EVERY) / "COMMIT"
    commit.write_bytes(commit.read_bytes()[:9])
    with resume(run, folder) as process:
        said = ended(process)
    assert all(f"set aside as damaged_step_{step:08d}" in said for step in (newest, newest - EVERY))
    assert [event["step"] for event in events(run, "resumed")][-1] == newest - 2 * EVERY
    assert stops(run)[-1]["class"] == "done"
    finishes(run, reference)


def flip_a_byte(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[moment(file.name) % len(data)] ^= 1
    file.write_bytes(data)
