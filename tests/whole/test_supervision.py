"""A run is broken while it trains, by signals and deaths of every kind, and each time what must come of it does."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from orchestrator.checkpoints.store import committed_checkpoints
from orchestrator.runs.lines import read_lines
from tests.support.tiny import overrides, write_everything

MIDTRAIN = str(Path(sys.executable).with_name("midtrain"))
STEPS = 200
ENDLESS: dict[str, object] = {"mixture.total_tokens": 3000 * 128, "mixture.max_epochs": "{spec:20,code:20,docs:20}"}
LONG: dict[str, object] = {
    "mixture.total_tokens": STEPS * 128,
    "mixture.max_epochs": "{spec:2}",
    "checkpoints.every_steps": 50,
    "evaluation.every_steps": STEPS,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_everything(tmp_path_factory.mktemp("supervision"))
    with started("prepare", *overrides(folder), folder=folder) as prepare:
        assert prepare.wait(200) == 0
    return folder


@pytest.fixture(scope="module")
def undisturbed(folder: Path) -> Path:
    run = folder / "runs" / "undisturbed"
    with train(run, folder) as command:
        assert command.wait(280) == 0
    return run


@contextmanager
def started(*words: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A command; it and all that it started are ended with the block, whatever happens."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    command = subprocess.Popen([MIDTRAIN, *words], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield command
    finally:
        if command.poll() is None:
            for process in psutil.Process(command.pid).children(recursive=True):
                process.kill()
            command.kill()
        command.wait()


@contextmanager
def train(run: Path, folder: Path, **changes: object) -> Iterator[subprocess.Popen[str]]:
    with started("train", *overrides(folder, **LONG | {"run.dir": run} | changes), folder=folder) as command:
        yield command


def wait_for(condition: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.05)


def is_past(run: Path, step: int, attempt: int) -> bool:
    starts = [line for line in read_lines(run / "attempts.jsonl") if line["event"] == "start"]
    return len(starts) == attempt and (run / "logs" / str(attempt) / "gang").exists() and last_step(run) >= step


def last_step(run: Path) -> int:
    return max((line["step"] for line in read_lines(run / "metrics.jsonl")), default=0)


def descendants(command: subprocess.Popen[str], name: str) -> list[psutil.Process]:
    return [p for p in psutil.Process(command.pid).children(recursive=True) if name in " ".join(p.cmdline())]


def stops(run: Path) -> list[dict[str, Any]]:
    return [line for line in read_lines(run / "attempts.jsonl") if line["event"] == "stop"]


def state(run: Path) -> dict[str, Any]:
    """All that the last checkpoint holds."""
    directory = list(committed_checkpoints(run / "checkpoints"))[-1].directory
    return {path.name: torch.load(path, weights_only=False) for path in sorted(directory.rglob("*.pt"))}


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal to the bit, tensor by tensor."""
    if isinstance(left, torch.Tensor):
        return left.dtype == right.dtype and torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right) if isinstance(left, int | float | str | None) else type(left) is type(right)


def test_a_signal_a_death_and_a_hang_later_the_weights_are_those_of_the_undisturbed_run(folder: Path, undisturbed: Path) -> None:
    run = folder / "runs" / "broken"
    with train(run, folder, **{"scheduling.deadlines.step": 15}) as command:
        wait_for(lambda: last_step(run) >= 20 or command.poll() is not None)
        descendants(command, "RayTrainWorker")[0].send_signal(signal.SIGUSR1)
        output, _ = command.communicate(timeout=120)
    assert command.returncode == 75, output
    (stop,) = stops(run)
    assert stop["class"] == "preempted"
    assert f"stopped by SIGUSR1 after step {stop['step']}, which is saved" in output
    assert (run / "checkpoints" / f"step_{stop['step']:08d}" / "COMMIT").exists()
    assert {"start", "load", "first_step", "step", "save"} <= stop["seconds"].keys()

    with started("resume", str(run), folder=folder) as command:
        wait_for(lambda: last_step(run) > stop["step"] + 10 or command.poll() is not None)
        descendants(command, "RayTrainWorker")[1].kill()
        wait_for(lambda: len(stops(run)) == 2)
        died = stops(run)[1]
        wait_for(lambda: is_past(run, died["step"] + 5, attempt=3) or command.poll() is not None)
        hung = descendants(command, "RayTrainWorker")[1]
        hung.suspend()
        output, _ = command.communicate(timeout=280)
    assert command.returncode == 0, output
    _, died, hang, done = stops(run)
    assert [died["class"], hang["class"], done["class"]] == ["infrastructure", "infrastructure", "done"]
    assert re.search(r"the process of rank \d \(host .+, pid \d+\) died", died["reason"])
    assert "phase step" in hang["reason"]
    assert f"pid {hung.pid}" in hang["reason"]
    assert "stopped (state T)" in hang["reason"]
    assert all("Thread 0x" in log.read_text() for log in (run / "logs" / "3").glob("*-[01].log"))
    assert last_step(run) == STEPS
    assert same(state(run), state(undisturbed))


def test_a_second_attempt_is_refused_and_where_no_lock_is_seen_the_first_gives_way(folder: Path) -> None:
    run = folder / "runs" / "fenced"
    with train(run, folder, **ENDLESS) as first:
        wait_for(lambda: last_step(run) >= 60 or first.poll() is not None)
        with started("resume", str(run), folder=folder) as refused:
            assert refused.wait(60) == 2
        (run / ".lock").unlink()
        with started("resume", str(run), folder=folder) as second:
            output, _ = first.communicate(timeout=120)
            assert first.returncode == 75, output
            assert "was taken over by attempt 2 on host" in output
            taken_over_at = last_step(run)
            wait_for(lambda: last_step(run) > taken_over_at or second.poll() is not None)
            second.send_signal(signal.SIGTERM)
            output, _ = second.communicate(timeout=120)
        assert second.returncode == 75, output
    assert [line["attempt"] for line in stops(run)] == [2]
    steps = [line["step"] for line in read_lines(run / "metrics.jsonl")]
    assert steps == list(range(len(steps)))
    with started("status", str(run), "--json", folder=folder) as status:
        said, _ = status.communicate(timeout=60)
    assert {"state": "stopped", "class": "preempted", "attempts": 2}.items() <= json.loads(said).items()


@pytest.mark.parametrize("whom", ["the command", "the raylet"])
def test_after_a_death_that_takes_ray_along_nothing_is_left_and_the_run_goes_on(folder: Path, whom: str) -> None:
    run = folder / "runs" / whom.replace(" ", "-")
    with train(run, folder, **ENDLESS) as command:
        wait_for(lambda: last_step(run) >= 60 or command.poll() is not None)
        processes = psutil.Process(command.pid).children(recursive=True)
        (raylet,) = descendants(command, "/raylet/raylet")
        folders = {process.environ()["MIDTRAIN_FOLDER"] for process in (raylet, *descendants(command, "RayTrainWorker"))}
        (raylet if whom == "the raylet" else psutil.Process(command.pid)).kill()
        if whom == "the raylet":
            wait_for(lambda: len(stops(run)) == 1)
        else:
            command.wait(10)
        wait_for(lambda: not any(process.is_running() and process.status() != "zombie" for process in processes), 60)
        wait_for(lambda: not any(Path(folder).exists() for folder in folders), 30)
        if whom == "the raylet":
            failed_at = last_step(run)
            wait_for(lambda: is_past(run, failed_at + 5, attempt=2) or command.poll() is not None)
            command.send_signal(signal.SIGTERM)
            output, _ = command.communicate(timeout=120)
            assert command.returncode == 75, output
            assert [stop["class"] for stop in stops(run)] == ["infrastructure", "preempted"]
