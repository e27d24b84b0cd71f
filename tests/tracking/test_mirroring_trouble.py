"""Whatever W&B does, nothing happens to the run: it is waited for no longer than is configured, and leaves a line and nothing else."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from orchestrator.errors import InterruptedRunError
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines
from orchestrator.tracking.mirroring import mirroring
from tests.tracking.mirrored import NUM_PROCESSES, folder_of, log, processes_of, tracking, wait_for
from tests.tracking.stand_in import Behaviour, StandIn

DRIVER = """
import sys, time
from pathlib import Path
from orchestrator.config.load import read_config
from orchestrator.runs.directory import RunDirectory
from orchestrator.tracking.mirroring import mirroring
run = RunDirectory(Path(sys.argv[1]))
with mirroring(run, read_config(run.config).tracking, print):
    print("working", flush=True)
    time.sleep(600)
"""


def mirrored_run(run: RunDirectory, finish_seconds: float, until: Callable[[], bool] = lambda: True) -> str:
    """What is said of a run of three lines that ends when something has come to pass, and is itself as it would be without W&B."""
    said: list[str] = []
    with mirroring(run, tracking("online", finish_seconds), said.append):
        log(run, range(3))
        wait_for(until)
        ends = time.monotonic()
    assert time.monotonic() - ends < finish_seconds + 10
    assert [line["step"] for line in read_lines(run.metrics)] == [0, 1, 2]
    assert processes_of(run, run.root) == []
    assert not (run.wandb / "tmp").is_symlink()
    (line,) = said
    assert f"midtrain sync {run.root}" in line
    assert "\n" not in line
    return line


@pytest.mark.parametrize("behaviour", ["fails", "hangs", "drops lines"])
def test_a_service_that_does_not_take_the_lines_is_left_behind(
    run: RunDirectory, service: StandIn, behaviour: Behaviour, capfd: pytest.CaptureFixture[str]
) -> None:
    service.behaviour = behaviour
    assert "W&B is behind" in mirrored_run(run, finish_seconds=3, until=lambda: service.requests > 0)
    assert capfd.readouterr() == ("", "")


def test_a_service_that_is_not_there_is_left_behind(run: RunDirectory, service: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert "W&B is behind" in mirrored_run(run, finish_seconds=1)


def test_a_key_that_is_refused_is_told(run: RunDirectory, service: StandIn) -> None:
    service.behaviour = "refuses the key"
    assert "401" in mirrored_run(run, finish_seconds=10)


def test_a_key_that_is_missing_is_told_at_the_start(run: RunDirectory, service: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    said: list[str] = []
    with mirroring(run, tracking("online"), said.append):
        assert "WANDB_API_KEY is not set" in said[0]
    assert "W&B is behind" in said[1]


def test_a_wandb_that_raises_writes_its_traceback_to_the_log_alone(
    run: RunDirectory, service: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken" / "wandb").mkdir(parents=True)
    (tmp_path / "broken" / "wandb" / "__init__.py").write_text("raise RuntimeError('not today')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'broken'}:{os.environ.get('PYTHONPATH', '')}")
    assert "RuntimeError: not today" in mirrored_run(run, finish_seconds=30)
    assert "Traceback" in run.wandb_log.read_text()
    assert capfd.readouterr() == ("", "")


def test_a_mirror_that_cannot_be_started_is_done_without(run: RunDirectory, service: StandIn) -> None:
    run.wandb.write_text("a file where W&B's directory should be")
    assert "W&B gets nothing" in mirrored_run(run, finish_seconds=30)


def test_a_log_that_was_deleted_is_not_missed(run: RunDirectory, service: StandIn) -> None:
    service.behaviour = "hangs"
    said: list[str] = []
    with mirroring(run, tracking("online", 0.5), said.append):
        run.wandb_log.unlink()
    assert ["W&B is behind" in line for line in said] == [True]


def test_a_full_disk_of_wandb_is_its_own_affair(run: RunDirectory, service: StandIn) -> None:
    run.wandb.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "none", run.wandb], capture_output=True, check=False).returncode:
        pytest.skip("a small file system can be mounted by root only")
    try:
        (run.wandb / "filled").write_bytes(bytes(4096))
        said: list[str] = []
        with mirroring(run, tracking("offline", 10), said.append):
            log(run, range(3))
        assert [line["step"] for line in read_lines(run.metrics)] == [0, 1, 2]
        assert ["W&B is behind" in line for line in said] == [True]
    finally:
        subprocess.run(["umount", run.wandb], check=True)


def test_a_mirror_that_is_stopped_is_ended_with_all_that_it_had(run: RunDirectory, service: StandIn) -> None:
    said: list[str] = []
    with mirroring(run, tracking("online", 1), said.append):
        wait_for(lambda: bool(service.runs))
        folder = folder_of(run)
        for process in psutil.Process().children(recursive=True):
            process.suspend()
        ends = time.monotonic()
    assert time.monotonic() - ends < 20
    assert "its process was killed" in said[0]
    assert (processes_of(run, folder), folder.exists()) == ([], False)


def test_a_run_that_was_asked_to_stop_waits_for_wandb_only_briefly(run: RunDirectory, service: StandIn) -> None:
    service.behaviour = "hangs"
    with pytest.raises(InterruptedRunError), mirroring(run, tracking("online", 600), lambda line: None):
        ends = time.monotonic()
        raise InterruptedRunError("stopped")
    assert time.monotonic() - ends < 20


def test_a_signal_ends_the_wait_and_not_the_driver(run: RunDirectory, service: StandIn) -> None:
    service.behaviour = "hangs"
    before = signal.getsignal(signal.SIGTERM)

    def interrupt() -> None:
        wait_for(lambda: signal.getsignal(signal.SIGTERM) != before)
        os.kill(os.getpid(), signal.SIGTERM)

    said: list[str] = []
    with mirroring(run, tracking("online", 600), said.append):
        wait_for(lambda: service.requests > 0)
        folder = folder_of(run)
        threading.Thread(target=interrupt).start()
        ends = time.monotonic()
    assert time.monotonic() - ends < 20
    assert "its process was killed" in said[0]
    assert (processes_of(run, folder), folder.exists()) == ([], False)
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("behaviour", ["works", "hangs"])
def test_when_the_driver_is_killed_the_mirror_ends_by_itself(run: RunDirectory, service: StandIn, behaviour: Behaviour) -> None:
    config = run.config.read_text().replace("wandb: 'off'", "wandb: online").replace("finish_seconds: 30", "finish_seconds: 4")
    run.config.write_text(config)
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, run.root], stdout=subprocess.PIPE)
    try:
        wait_for(lambda: service.requests > 0)
        service.behaviour = behaviour
        folder = folder_of(run)
        wait_for(lambda: len(processes_of(run, folder)) == NUM_PROCESSES)
        log(run, range(5))
    finally:
        driver.kill()
        driver.communicate()
    wait_for(lambda: processes_of(run, folder) == [] and not folder.exists())
    assert behaviour == "hangs" or service.steps() == list(range(5))


def test_the_folder_of_a_mirror_that_was_killed_with_its_driver_goes_with_the_next_one(run: RunDirectory, service: StandIn) -> None:
    left = Path(tempfile.mkdtemp(prefix="midtrain-", dir="/tmp"))
    run.wandb.mkdir()
    (run.wandb / "tmp").symlink_to(left)
    with mirroring(run, tracking("online"), pytest.fail):
        log(run, range(2))
    assert not left.exists()
    assert service.steps() == [0, 1]
