"""The command's watch over the process that drives an attempt."""

import os
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.fence import Token
from orchestrator.runs.stop_request import request_stop
from orchestrator.scheduling import asked, driving
from orchestrator.scheduling.attempt import BEAT, AttemptJob, Outcome, dump, load_outcome

SPEAKS = (
    "import os, sys, time; [(os.write(int(sys.argv[1]), b'.'), time.sleep(0.1)) for _ in range(15)]; os.write(int(sys.argv[1]), b'{}\\n')"
)
HANGS = "import os, sys, time; os.write(int(sys.argv[1]), b'.'); time.sleep(60)"
HANGS_AT_ITS_END = "import os, sys, time; os.write(int(sys.argv[1]), b'.{}\\n'); time.sleep(60)"


ENDS_WHEN_ASKED = (
    "import os, signal, sys, time; signal.signal(15, lambda *_: os._exit(7)); "
    "[(os.write(int(sys.argv[1]), b'.'), time.sleep(0.1)) for _ in range(300)]"
)


def waited(program: str, is_asked: Callable[[], bool] = lambda: False) -> tuple[subprocess.Popen[bytes], bytes, bool]:
    reading, writing = os.pipe()
    process = subprocess.Popen(["python3", "-c", program, str(writing)], pass_fds=[writing], start_new_session=True)
    os.close(writing)
    try:
        return process, *driving._wait(process, reading, grace_seconds=60, start_seconds=5, is_asked=is_asked)
    finally:
        os.close(reading)
        process.kill()
        process.wait()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driving, "_SILENT_SECONDS", 1.0)
    monkeypatch.setattr(driving, "_CLEANING_SECONDS", 1.0)


def test_one_that_speaks_is_waited_for() -> None:
    process, said, is_silent = waited(SPEAKS)
    assert (process.returncode, said, is_silent) == (0, BEAT * 15 + b"{}\n", False)


@pytest.mark.parametrize("program", [HANGS, HANGS_AT_ITS_END])
def test_one_that_falls_silent_is_ended(program: str) -> None:
    began = time.monotonic()
    process, said, is_silent = waited(program)
    assert is_silent
    assert process.returncode == -9
    assert said.startswith(BEAT)
    assert time.monotonic() - began < 10


def test_a_run_that_is_asked_to_stop_is_asked_alone_of_those_that_a_command_supervises(tmp_path: Path) -> None:
    runs = [RunDirectory(tmp_path / name) for name in ("asked", "other")]
    for run in runs:
        run.root.mkdir()
    request_stop(runs[0], through_attempt=1)
    requests = [driving._Request(run, 1) for run in runs]
    with ThreadPoolExecutor(2) as threads:
        (stopped, *_), (other, said, _) = threads.map(waited, (ENDS_WHEN_ASKED, SPEAKS), [request.is_new for request in requests])
    assert (stopped.returncode, other.returncode, said[-3:]) == (7, 0, b"{}\n")
    assert [request.is_made for request in requests] == [True, False]
    assert asked.asked_to_stop() == 0


def test_what_became_of_it_is_told(tmp_path: Path) -> None:
    job = AttemptJob(run=str(tmp_path), token=Token(attempt=1, host="here", nonce="a"), from_step=30)
    process, _, is_silent = waited(HANGS)
    (tmp_path / "driver.log").write_text("it waits for the cluster\n")
    outcome = driving._died(process, job, tmp_path / "driver.log", is_silent=is_silent, is_asked=False)
    assert (outcome.error, outcome.step) == ("InfrastructureError", 30)
    assert "the process that drives the attempt hung" in outcome.message
    assert "it waits for the cluster" in outcome.message
    assert load_outcome(BEAT * 3 + dump(Outcome(step=7))) == Outcome(step=7)
