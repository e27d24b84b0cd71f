"""A run directory that is mirrored, its metrics, and the processes and files that a mirror may leave behind."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import psutil

from orchestrator.config.load import dump_config, load_config
from orchestrator.config.operation import TrackingConfig
from orchestrator.runs.attempts import Stop
from orchestrator.runs.directory import RunDirectory, create_run
from orchestrator.tracking.metrics import MetricsFile
from tests.support.run_directory import MadeUpRun, write_run
from tests.support.tiny import overrides

KEY = "0123456789abcdef" * 3  # as long as one that W&B takes
NUM_PROCESSES = 3  # of a mirror at work: itself, W&B's own one, and the one that samples the machine for that
CONTENT = b"what is in a shard stays where it is"


def make_run(folder: Path, **changes: object) -> RunDirectory:
    """A run that was never planned: only its config and its metrics are mirrored."""
    config = dump_config(load_config(overrides(folder, **changes)))
    return create_run(folder / "runs" / "tiny", config=config, write_plan=lambda path: None)


def made_up(folder: Path, *stops: Stop, **changes: object) -> RunDirectory:
    """A run of 60 steps with a plan, losses, checkpoints and a ledger, as far as its last stop, and a shard of its spec."""
    run = write_run(folder, MadeUpRun(trained_steps=stops[-1].step, attempts=stops, changes=changes))
    (folder / "shards" / "spec").mkdir(parents=True)
    (folder / "shards" / "spec" / "train_00000.bin").write_bytes(CONTENT * 100)
    return run


def tracking(mode: Literal["off", "offline", "online"], finish_seconds: float = 30) -> TrackingConfig:
    return TrackingConfig(wandb=mode, project="midtrain", group=None, tags=(), system_metrics=True, finish_seconds=finish_seconds)


def log(run: RunDirectory, steps: Iterable[int], *, from_step: int = 0) -> None:
    """What an attempt writes that begins at a step."""
    file = MetricsFile(run.metrics, from_step)
    for step in steps:
        file.write({"step": step, "loss": 4.0 - step / 100})
    file.close()


def folder_of(run: RunDirectory) -> Path:
    """What a mirror has outside the run directory, as soon as it is at work."""
    wait_for(lambda: (run.wandb / "tmp").is_symlink())
    return (run.wandb / "tmp").readlink()


def processes_of(run: RunDirectory, folder: Path) -> list[str]:
    """The mirror of a run, and W&B's own processes, which are told files in the folder."""
    words = (" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"]))
    return [line for line in words if f"mirror {run.root} " in line or str(folder) in line]


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.02)
