"""A small run that others break: started, watched, broken at moments that a seed chooses, and looked at afterwards."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from orchestrator.checkpoints.store import committed_checkpoints, is_committed, step_directory
from orchestrator.runs.lines import read_lines
from tests.support.tiny import overrides

MIDTRAIN = str(Path(sys.executable).with_name("midtrain"))
FAULTS = Path(__file__).with_name("faults")
STEPS, EVERY = 120, 15
CHANGES: dict[str, object] = {
    "mixture.total_tokens": STEPS * 128,
    "mixture.max_epochs": "{spec:9,code:9,docs:9}",
    "checkpoints.every_steps": EVERY,
    "evaluation.every_steps": STEPS,
    "feed.block_bytes": 528,  # four steps a block, so that workers are asked to the end
    "scheduling.deadlines.step": 15,
}
SEED = os.environ.get("MIDTRAIN_CHAOS_SEED", "0")


def moment(case: str) -> int:
    """The step at which a case breaks the run: after its first checkpoint, and before its last stretch."""
    return random.Random(f"{SEED} {case}").randrange(EVERY + 2, STEPS - 2 * EVERY)


@contextmanager
def command(*words: str, folder: Path, fault: str = "", **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A midtrain command; it and all that it started are ended with the block, whatever happens.

    Args:
        words: after `midtrain`.
        folder: where it is given; a file `fault` there triggers the fault.
        fault: of `faults/sitecustomize.py`.
        environment: more variables.
    """
    faults = {"PYTHONPATH": str(FAULTS), "MIDTRAIN_FAULT": fault, "MIDTRAIN_FAULT_FILE": str(folder / "fault")} if fault else {}
    given = os.environ | {"HF_HUB_OFFLINE": "1", "MIDTRAIN_CHAOS": str(os.getpid())} | faults | environment
    process = subprocess.Popen(
        [MIDTRAIN, *words], cwd=folder, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        kill_tree(process)
        process.wait()


def train(run: Path, folder: Path, *options: str, fault: str = "", changes: Mapping[str, object] | None = None, **environment: str) -> Any:
    """`midtrain train` of the small run, into a directory."""
    words = overrides(folder, **CHANGES | {"run.dir": run, "run.name": run.name} | dict(changes or {}))
    return command("train", *words, *options, folder=folder, fault=fault, **environment)


def resume(run: Path, folder: Path, *words: str, fault: str = "") -> Any:
    return command("resume", str(run), *words, folder=folder, fault=fault)


def ended(process: subprocess.Popen[str], code: int = 0, seconds: float = 280) -> str:
    """Wait for a command, which must end with the code and without a traceback; what it said."""
    said, _ = process.communicate(timeout=seconds)
    assert process.returncode == code, said
    assert "Traceback" not in said, said
    return said


def kill_tree(process: subprocess.Popen[str]) -> None:
    """Kill a command and everything below it, at once."""
    if process.poll() is None:
        for number in (signal.SIGSTOP, signal.SIGKILL):  # so that none sees another die first
            for one in (*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)):
                with suppress(psutil.NoSuchProcess):
                    one.send_signal(number)


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != "zombie"
    except psutil.NoSuchProcess:
        return False


def wait_for(condition: Callable[[], object], seconds: float = 240, every: float = 0.02) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(every)


def wait_for_step(run: Path, step: int, process: subprocess.Popen[str]) -> None:
    """Until a run has made a step. The command must be at work then."""
    wait_for(lambda: last_step(run) >= step or process.poll() is not None)
    assert process.poll() is None, process.communicate()[0]


def last_step(run: Path) -> int:
    return max((line["step"] for line in read_lines(run / "metrics.jsonl")), default=0)


def below(process: subprocess.Popen[str], name: str) -> list[psutil.Process]:
    """The processes below a command whose command line has a name in it."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if name in " ".join(child.cmdline()):
                found.append(child)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


def ranks(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return below(process, "ray::RankProcess")


def stops(run: Path) -> list[dict[str, Any]]:
    return [line for line in read_lines(run / "attempts.jsonl") if line["event"] == "stop"]


def classes(run: Path) -> list[str]:
    """How the run's attempts ended, in order."""
    return [stop["class"] for stop in stops(run)]


def events(run: Path, name: str) -> list[dict[str, Any]]:
    return [line for line in read_lines(run / "events.jsonl") if line["event"] == name]


def is_saved(run: Path, step: int) -> bool:
    return is_committed(step_directory(run / "checkpoints", step))


def state(run: Path, step: int = STEPS) -> dict[str, bytes]:
    """What the checkpoint of a step holds of each rank, byte by byte."""
    (found,) = (checkpoint for checkpoint in committed_checkpoints(run / "checkpoints") if checkpoint.step == step)
    return {path.name: path.read_bytes() for path in sorted((found.directory / "state").iterdir())}


def trained_data(run: Path) -> list[tuple[int, int]]:
    """Each logged step with the checksum of what it trained."""
    return [(line["step"], line["data_checksum"]) for line in read_lines(run / "metrics.jsonl") if line["step"]]


def traces() -> set[str]:
    """Processes that a case has started, and what Ray, W&B and torch have in places for temporary files."""
    processes = [process for process in psutil.process_iter() if is_ours(process)]
    patterns = ("ray*", "midtrain-*", "*wandb*", "torchinductor*", "pymp-*")
    places = {place for pattern in patterns for place in Path("/tmp").glob(pattern)} | set(Path("/dev/shm").glob("*"))
    return {f"process {process.pid} {process.name()}" for process in processes} | set(map(str, places))


def is_ours(process: psutil.Process) -> bool:
    """Whether a process was started by a command of these tests, and lives."""
    try:
        return process.environ().get("MIDTRAIN_CHAOS") == str(os.getpid()) and process.status() != "zombie"
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return False


def finishes(run: Path, reference: Path) -> None:
    """The run is at its end, with the weights, the moments and the data of the undisturbed one, to the bit."""
    assert last_step(run) == STEPS
    assert [line["step"] for line in read_lines(run / "metrics.jsonl")] == list(range(STEPS + 1))
    assert trained_data(run) == trained_data(reference)
    assert state(run) == state(reference)
