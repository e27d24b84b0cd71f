"""Disks are full, spent, broken and lie."""

import os
import subprocess
from pathlib import Path

import pytest

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
    wait_for_step,
)
from tests.support.tiny import overrides


@pytest.mark.parametrize("number", [122, 5], ids=["EDQUOT", "EIO"])
def test_writes_of_a_rank_fail_for_a_while(folder: Path, reference: Path, number: int) -> None:
    run = folder / "runs" / f"errno-{number}"
    with train(run, folder, fault=str(number)) as process:
        wait_for_step(run, EVERY + 1, process)
        (folder / "fault").touch()
        wait_for_step(run, 2 * EVERY + 1, process)
        (folder / "fault").unlink()
        said = ended(process)
    failed = [event["step"] for event in events(run, "save_failed")]
    assert failed
    assert f"step {failed[0]} was not saved: rank 1: [Errno {number}] {os.strerror(number)}" in said
    assert not any(is_saved(run, step) for step in failed)
    assert classes(run) == ["done"]
    finishes(run, reference)


def planned(run: Path, folder: Path) -> RunDirectory:
    """The small run, made and not begun."""
    from orchestrator.commands.planning import plan_run

    config = load_config(overrides(folder, **CHANGES | {"run.dir": run, "run.name": run.name, "scheduling.budgets.infrastructure": 0}))
    plan = plan_run(config)
    return create_run(run, config=dump_config(config), write_plan=lambda path: write_plan(plan, path))


def test_the_disk_is_full(folder: Path, reference: Path) -> None:
    made = planned(folder / "runs" / "full", folder)
    made.checkpoints.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", made.checkpoints], check=True)
    try:
        with resume(made.root, folder) as process:
            said = ended(process, code=6)
        kept = [step for step in range(EVERY, STEPS + 1, EVERY) if is_saved(made.root, step)]
        assert kept == [EVERY, 2 * EVERY]
        assert "step 60 was not saved" in said
        assert "No space left on device" in said
        assert [event["step"] for event in events(made.root, "save_failed")] == [60, 80, 100, 120]
        assert classes(made.root) == ["infrastructure"]
        subprocess.run(["mount", "-o", "remount,size=64m", made.checkpoints], check=True)
        with resume(made.root, folder) as process:
            assert f"from step {2 * EVERY}" in ended(process)
        finishes(made.root, reference)
    finally:
        subprocess.run(["umount", "-l", made.checkpoints], check=True)


@pytest.mark.parametrize("damage", ["a byte is flipped", "COMMIT is cut short"])
def test_the_newest_checkpoint_is_damaged(folder: Path, reference: Path, damage: str) -> None:
    run = folder / "runs" / damage.split()[0]
    until = moment(damage) // EVERY * EVERY + EVERY
    with train(run, folder) as process:
        wait_for_step(run, 1, process)
        process.terminate()
        ended(process, code=75)
    with resume(run, folder, "--until-step", str(until)) as process:
        ended(process)
    newest = run / "checkpoints" / f"step_{until:08d}"
    file = newest / "COMMIT" if damage.startswith("COMMIT") else newest / "state" / "rank_00001.safetensors"
    data = bytearray(file.read_bytes())
    if damage.startswith("COMMIT"):
        file.write_bytes(data[: len(data) // 2])
    else:
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    with resume(run, folder) as process:
        said = ended(process)
    assert f"set aside as damaged_step_{until:08d}" in said
    assert [event["step"] for event in events(run, "resumed")][-1] == until - EVERY
    assert stops(run)[-1]["class"] == "done"
    finishes(run, reference)
