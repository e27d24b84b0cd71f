"""A loss is NaN on one rank."""

from pathlib import Path

from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.skips import Skip, read_skips, write_skip
from tests.chaos.breaking import EVERY, STEPS, classes, ended, last_step, resume, state, train
from tests.chaos.test_disks import planned

NAN_STEP = 37
FAULT = f"nan:{NAN_STEP}"


def test_it_is_skipped_by_all_ranks_and_the_weights_are_those_of_a_run_that_never_met_it(folder: Path) -> None:
    run, twin = folder / "runs" / "not-finite", folder / "runs" / "not-finite-twin"
    with train(run, folder, fault=FAULT) as process:
        said = ended(process)
    assert f"step {NAN_STEP} skipped: its loss or gradient was not finite" in said
    assert [(skip.first_step, skip.last_step) for skip in read_skips(RunDirectory(run))] == [(NAN_STEP, NAN_STEP)]
    write_skip(planned(twin, folder), Skip(first_step=NAN_STEP, last_step=NAN_STEP, reason="as in the other", attempt=0))
    with resume(twin, folder) as process:
        ended(process)
    assert state(run) == state(twin)


def test_the_run_is_rolled_back_and_skips_the_stretch(folder: Path) -> None:
    run, twin = folder / "runs" / "rollback", folder / "runs" / "rollback-twin"
    with train(
        run, folder, fault=FAULT, changes={"training.numerics.nonfinite": "rollback", "training.numerics.max_skipped_steps": 40}
    ) as process:
        ended(process)
    assert classes(run) == ["numerics", "done"]
    skip = Skip(first_step=NAN_STEP // EVERY * EVERY + 1, last_step=NAN_STEP, reason="as in the other", attempt=0)
    assert [(found.first_step, found.last_step) for found in read_skips(RunDirectory(run))] == [(skip.first_step, skip.last_step)]
    write_skip(planned(twin, folder), skip)
    with resume(twin, folder) as process:
        ended(process)
    assert state(run) == state(twin)
    assert last_step(run) == STEPS


def test_too_many_end_the_run_with_class_numerics(folder: Path) -> None:
    run = folder / "runs" / "too-many"
    changes: dict[str, object] = {"training.numerics.max_skipped_steps": 0, "scheduling.budgets.numerics": 0}
    with train(run, folder, fault=FAULT, changes=changes) as process:
        said = ended(process, code=5)
    assert classes(run) == ["numerics"]
    assert f"step {NAN_STEP}" in said
    assert "max_skipped_steps=0" in said
