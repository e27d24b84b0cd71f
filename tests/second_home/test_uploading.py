"""Beside a run, its checkpoints are copied. Whatever the second home does, nothing happens to the run."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from orchestrator.checkpoints.store import COMMIT
from orchestrator.commands.sync import sync
from orchestrator.config.load import read_config
from orchestrator.errors import InfrastructureError, InterruptedRunError
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines
from orchestrator.second_home.catalogue import committed_names
from orchestrator.second_home.run_files import RUN_FILES, unpack
from orchestrator.second_home.uploading import uploading
from tests.corpus.stores import KEYS
from tests.second_home.fickle import Behaviour, Fickle
from tests.second_home.made_up import Noting, content, copied, save

Make = Callable[..., RunDirectory]


@contextmanager
def beside(run: RunDirectory, said: list[str] | None = None, preempted_seconds: float = 1) -> Iterator[None]:
    """What a command does around training."""
    warn = pytest.fail if said is None else said.append
    with uploading(run, read_config(run.config).checkpoints, warn, preempted_seconds=preempted_seconds):
        yield


def events(run: RunDirectory, kind: str) -> list[dict[str, object]]:
    return [line for line in read_lines(run.events) if line["event"] == kind]


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.05)


def uploaders(run: RunDirectory) -> list[psutil.Process]:
    return [process for process in psutil.process_iter(["cmdline"]) if f"uploader {run.root} " in " ".join(process.info["cmdline"] or [])]


def test_without_a_second_home_there_is_no_process(run: RunDirectory) -> None:
    with beside(run):
        save(run, 100)
        assert uploaders(run) == []
    assert not run.upload_log.exists()


def test_checkpoints_are_copied_while_the_run_goes_on_and_at_its_end_the_last_records(make: Make, bucket: str) -> None:
    run = make(checkpoints__second_home=bucket)
    early = save(run, 100)
    with beside(run):
        wait_for(lambda: events(run, "uploaded"))
        newest = save(run, 200)
        with run.attempts.open("a") as file:
            file.write('{"event": "stop", "attempt": 1}\n')
    for checkpoint in (early, newest):
        assert copied(bucket, checkpoint.directory.name).items() >= content(checkpoint.directory).items()
    files = unpack(copied(bucket, newest.directory.name)[RUN_FILES], "there")
    assert files["attempts.jsonl"] == run.attempts.read_bytes()
    assert [(line["step"], line["kind"], line["bytes"]) for line in events(run, "uploaded")] == [
        (100, "science", 73_000),
        (200, "science", 73_000),
    ]
    secrets = [value.encode() for name, value in KEYS.items() if name.endswith(("_KEY", "_ID", "_TOKEN"))]
    written = b"".join(path.read_bytes() for path in run.root.rglob("*") if path.is_file())
    assert [secret for secret in secrets if secret in written] == []
    assert uploaders(run) == []


def test_the_newest_goes_first_and_what_is_there_is_not_copied_again(make: Make, place: str) -> None:
    run = make(checkpoints__second_home=place)
    for step in (100, 200, 300):
        save(run, step)
    for _ in range(2):
        with beside(run):
            pass
    assert [line["step"] for line in events(run, "uploaded")] == [300, 200, 100]


def test_an_uploader_that_is_killed_in_the_middle_leaves_no_commit_and_the_next_one_finishes(
    make: Make, fickle: Fickle, bucket: str
) -> None:
    run = make(checkpoints__second_home=bucket)
    checkpoint = save(run, 100)
    fickle.writes_before_it_hangs = 2
    said: list[str] = []
    with beside(run, said):
        wait_for(lambda: fickle.writes > 2)
        for process in uploaders(run):
            process.kill()
    assert ["its process was killed" in line for line in said] == [True]
    fickle.writes_before_it_hangs = None
    assert committed_names(Noting(bucket).files()) == []
    with beside(run):
        pass
    assert copied(bucket, checkpoint.directory.name).items() >= content(checkpoint.directory).items()


@pytest.mark.parametrize("behaviour", ["hangs", "fails"])
def test_a_server_that_does_not_answer_or_fails_changes_nothing_and_is_told_once(
    make: Make, fickle: Fickle, bucket: str, behaviour: Behaviour
) -> None:
    run = make(checkpoints__second_home=bucket, checkpoints__answer_seconds=0.5, checkpoints__finish_upload_seconds=4)
    fickle.behaviour = behaviour
    said: list[str] = []
    with beside(run, said):
        save(run, 100)
        save(run, 200)
        wait_for(lambda: events(run, "upload_failed"))
        began = time.monotonic()
    assert time.monotonic() - began < 15
    assert (len(said), fickle.requests > 0, uploaders(run)) == (1, True, [])
    assert f"{bucket} lacks the checkpoints of steps 200, 100." in said[0]
    assert f"midtrain sync {run.root}" in said[0]
    assert len(events(run, "upload_failed")) == 1
    assert "The run goes on" in str(events(run, "upload_failed")[0]["message"])
    assert events(run, "uploaded") == []


def test_a_server_that_answers_again_gets_everything(make: Make, fickle: Fickle, bucket: str) -> None:
    run = make(checkpoints__second_home=bucket, checkpoints__answer_seconds=2)
    fickle.behaviour = "hangs"
    with beside(run):
        save(run, 100)
        wait_for(lambda: events(run, "upload_failed"))
        fickle.behaviour = "works"
        wait_for(lambda: events(run, "uploaded"))


def test_what_is_left_is_pushed_by_sync(make: Make, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    run = make(checkpoints__second_home=place)
    save(run, 100)
    blocked = Path(place.removeprefix("file://"))
    blocked.parent.mkdir(parents=True)
    blocked.write_text("a file where the directory should be")
    with pytest.raises(InfrastructureError, match=r"lacks the checkpoints of steps 100\..*Run it again"):
        sync(run, timeout_seconds=1)
    blocked.unlink()
    assert sync(run, timeout_seconds=60) == {"second_home": place, "checkpoints": [100]}
    assert committed_names(Noting(place).files()) == ["step_00000100"]


def test_nothing_is_copied_over_another_run(make: Make, tmp_path: Path, place: str) -> None:
    other = make(run_id="another", checkpoints__second_home=place, run__dir=tmp_path / "other")
    save(other, 100)
    with beside(other):
        pass
    run, said = make(checkpoints__second_home=place), list[str]()
    save(run, 100, seed=1)
    with beside(run, said):
        wait_for(lambda: events(run, "upload_failed"))
    assert ["is of another run, and nothing is copied over it" in line for line in said] == [True]
    assert copied(place, "step_00000100").items() >= content(other.checkpoints / "step_00000100").items()


def test_one_that_is_damaged_here_is_told_and_the_others_are_copied(make: Make, place: str) -> None:
    run, said = make(checkpoints__second_home=place), list[str]()
    save(run, 100)
    (save(run, 200).directory / "state" / "rank_00000.safetensors").write_bytes(bytes(3000))
    with beside(run, said):
        pass
    assert committed_names(Noting(place).files()) == ["step_00000100"]
    assert ["rank_00000.safetensors is damaged" in line for line in said] == [True]


def test_a_second_home_that_is_ahead_is_told(make: Make, place: str) -> None:
    run = make(checkpoints__second_home=place)
    save(run, 100)
    newer = save(run, 200)
    with beside(run):
        pass
    (newer.directory / COMMIT).unlink()
    with beside(run):
        pass
    assert ["has step_00000200, which is newer" in str(line["message"]) for line in events(run, "second_home_ahead")] == [True]
    assert len(committed_names(Noting(place).files())) == 2


def test_a_run_that_is_asked_to_stop_does_not_wait_long(make: Make, fickle: Fickle, bucket: str) -> None:
    run, said = make(checkpoints__second_home=bucket), list[str]()
    fickle.behaviour = "hangs"
    save(run, 100)
    began = time.monotonic()
    with pytest.raises(InterruptedRunError), beside(run, said):
        raise InterruptedRunError("stopped by SIGTERM")
    assert time.monotonic() - began < 15
    assert ["lacks the checkpoints of steps 100." in line for line in said] == [True]


COMMAND = """
import sys, time
from pathlib import Path
from orchestrator.config.load import read_config
from orchestrator.runs.directory import RunDirectory
from orchestrator.second_home.uploading import uploading
run = RunDirectory(Path(sys.argv[1]))
with uploading(run, read_config(run.config).checkpoints, print, preempted_seconds=1):
    time.sleep(600)
"""


def test_a_command_that_is_killed_takes_its_uploader_along_after_it_has_copied_what_there_is(make: Make, place: str) -> None:
    run = make(checkpoints__second_home=place)
    command = subprocess.Popen([sys.executable, "-c", COMMAND, str(run.root)])
    try:
        wait_for(lambda: uploaders(run))
        save(run, 100)
    finally:
        os.kill(command.pid, signal.SIGKILL)
        command.wait()
    wait_for(lambda: not uploaders(run))
    assert committed_names(Noting(place).files()) == ["step_00000100"]
