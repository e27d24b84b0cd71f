"""Where the files of a run are."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import InfrastructureError, RunExistsError
from orchestrator.runs.durable import sync_directory, write_whole


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The paths of one run."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "config.yaml"

    @property
    def plan(self) -> Path:
        return self.root / "plan.json"

    @property
    def amendments(self) -> Path:
        return self.root / "amendments"

    @property
    def attempts(self) -> Path:
        return self.root / "attempts.jsonl"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.jsonl"

    @property
    def heldout(self) -> Path:
        return self.root / "heldout.jsonl"

    @property
    def probes(self) -> Path:
        return self.root / "probes.jsonl"

    @property
    def events(self) -> Path:
        return self.root / "events.jsonl"

    @property
    def skipped(self) -> Path:
        return self.root / "skipped.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def lock(self) -> Path:
        return self.root / ".lock"

    @property
    def wandb(self) -> Path:
        return self.root / "wandb"

    @property
    def wandb_id(self) -> Path:
        return self.root / "wandb_id"

    @property
    def wandb_lock(self) -> Path:
        return self.wandb / ".lock"

    @property
    def wandb_log(self) -> Path:
        return self.root / "logs" / "wandb.log"

    @property
    def upload_lock(self) -> Path:
        return self.root / ".upload.lock"

    @property
    def upload_log(self) -> Path:
        return self.root / "logs" / "upload.log"

    @property
    def fence(self) -> Path:
        return self.root / ".fence"

    @property
    def stop_request(self) -> Path:
        return self.root / ".stop"

    @property
    def launch(self) -> Path:
        return self.root / "launch"

    @property
    def submissions(self) -> Path:
        return self.launch / "submissions.jsonl"

    @property
    def job_log(self) -> Path:
        return self.root / "logs" / "job.log"

    def logs(self, attempt: int) -> Path:
        return self.root / "logs" / str(attempt)


def create_run(root: Path, *, config: str, write_plan: Callable[[Path], None]) -> RunDirectory:
    """Make a run's directory with its config and plan. It appears whole or not at all, and never over another.

    Args:
        root: the directory to make.
        config: the text of its config.yaml.
        write_plan: writes plan.json to the path that it is given.

    Raises:
        RunExistsError: something is there already.
        InfrastructureError: it cannot be written.
    """
    if root.exists():
        raise RunExistsError(_taken_message(RunDirectory(root), config))
    partial = RunDirectory(root.with_name(f".{root.name}.partial-{os.getpid()}"))
    try:
        partial.root.mkdir(parents=True)
        write_whole(partial.config, config.encode())
        write_plan(partial.plan)
        partial.root.rename(root)
        sync_directory(root.parent)
    except OSError as error:
        shutil.rmtree(partial.root, ignore_errors=True)
        raise InfrastructureError(f"cannot make the run directory {root}: {error}. Free the path, or set run.dir to another.") from error
    return RunDirectory(root)


def _taken_message(run: RunDirectory, config: str) -> str:
    if not run.config.exists():
        return f"{run.root} exists and is not a run. Set run.dir or run.name to a new one; nothing was changed."
    if run.config.read_text(encoding="utf-8") == config:
        return f"{run.root} is this run already. Go on with it: midtrain resume {run.root}"
    return f"{run.root} holds a run with another config. Set run.name to a new name, or `midtrain resume {run.root}`; nothing was changed."
