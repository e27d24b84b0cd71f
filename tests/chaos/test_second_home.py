"""The machine of a run is lost, or its second home stops answering."""

import shutil
from pathlib import Path

from orchestrator.second_home.catalogue import committed_names
from tests.chaos.breaking import EVERY, STEPS, classes, command, ended, events, finishes, kill_tree, moment, train, wait_for, wait_for_step
from tests.second_home.fickle import Fickle
from tests.second_home.made_up import Noting


def test_a_server_that_stops_answering(folder: Path, reference: Path, fickle: Fickle, bucket: str) -> None:
    run = folder / "runs" / "unanswered"
    changes = {"checkpoints.second_home": bucket, "checkpoints.answer_seconds": 1, "checkpoints.finish_upload_seconds": 2}
    with train(run, folder, changes=changes) as process:
        wait_for(lambda: events(run, "uploaded") or process.poll() is not None)
        wait_for_step(run, moment("a server that stops answering"), process)
        fickle.behaviour = "hangs"
        said = ended(process)
    assert said.count("The second home is behind") == 1
    assert f"lacks the checkpoints of steps {STEPS}" in said
    assert classes(run) == ["done"]
    finishes(run, reference)


def test_the_machine_with_all_its_files_is_lost(folder: Path, reference: Path, bucket: str) -> None:
    run = folder / "runs" / "lost"
    with train(run, folder, changes={"checkpoints.second_home": bucket}) as process:
        wait_for(lambda: events(run, "uploaded") or process.poll() is not None)
        wait_for_step(run, moment("the machine is lost"), process)
        kill_tree(process)
    shutil.rmtree(run)
    with command("resume", bucket, folder=folder) as process:
        said = ended(process)
    assert f"from {bucket} into {run}" in said
    finishes(run, reference)
    (resumed,) = (event["step"] for event in events(run, "resumed"))  # older ones may not have been uploaded when the machine was lost
    assert {f"step_{step:08d}" for step in range(resumed, STEPS + 1, EVERY)} <= set(committed_names(Noting(bucket).files()))
