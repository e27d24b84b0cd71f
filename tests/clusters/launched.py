"""A small run on a platform: launched, watched from its directory, and looked at afterwards."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from orchestrator.commands.console import Console
from orchestrator.commands.jobs import job_of
from orchestrator.commands.status import RunStatus, run_status
from orchestrator.commands.stopping import stop
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines
from tests.chaos.breaking import CHANGES, FAULTS, MIDTRAIN, last_step, wait_for
from tests.support.tiny import overrides

GRACE_SECONDS = 20
SMALL: dict[str, object] = CHANGES | {
    "scheduling.preemption.grace_seconds": GRACE_SECONDS,
    "scheduling.deadlines.step": 60,
    "checkpoints.insurance_minutes": "0.0",
}


def midtrain(*words: str, folder: Path, code: int = 0, slow: bool = False, **environment: str) -> str:
    """A midtrain command, to its end; what it said."""
    faults = {"PYTHONPATH": str(FAULTS), "MIDTRAIN_FAULT": "slow steps", "MIDTRAIN_FAULT_FILE": str(folder / "fault")} if slow else {}
    given = os.environ | {"HF_HUB_OFFLINE": "1"} | faults | environment
    done = subprocess.run([MIDTRAIN, *words], cwd=folder, env=given, capture_output=True, text=True, timeout=300, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert "Traceback" not in said, said
    return said


def words(run: Path, folder: Path, changes: Mapping[str, object]) -> list[str]:
    return overrides(folder, **SMALL | {"run.dir": run, "run.name": run.name} | dict(changes))


def status(run: Path) -> RunStatus:
    """As `midtrain status` tells it."""
    return run_status(RunDirectory(run), job_of(RunDirectory(run)))


def cancel(run: Path) -> None:
    """End the job of a run, if it lives."""
    job = job_of(RunDirectory(run))
    if job and job[1].is_alive:
        stop(RunDirectory(run), Console(), now=True)


def attempts(run: Path) -> list[tuple[str, str]]:
    """The class of each attempt's end, with its job; `none` for one that could not say it."""
    lines = list(read_lines(run / "attempts.jsonl"))
    ends = {line["attempt"]: line["class"] for line in lines if line["event"] == "stop"}
    return [(line["job"], ends.get(line["attempt"], "none")) for line in lines if line["event"] == "start"]


def wait_for_step(run: Path, step: int, seconds: float = 240) -> None:
    wait_for(lambda: last_step(run) >= step, seconds, every=0.1)


def wait_for_attempt(run: Path, number: int, seconds: float = 240) -> None:
    wait_for(lambda: len(attempts(run)) >= number, seconds, every=0.1)


def wait_for_state(run: Path, *states: str, seconds: float = 240) -> None:
    """Until the platform and the ledger say that a run is in one of some states."""
    wait_for(lambda: status(run).state in states, seconds, every=1.0)


def log(run: Path) -> str:
    return (run / "logs" / "job.log").read_text()
