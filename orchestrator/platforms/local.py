"""This machine: a process that goes on when the terminal is closed."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from orchestrator.errors import InfrastructureError
from orchestrator.platforms.job import Job, JobState
from orchestrator.platforms.templates import render

SCRIPT = "job.sh"
_TOO_OLD = 1e-3


class Local:
    """The machine that the command is given on."""

    has_arrays = False

    def check(self, job: Job) -> None:
        """There is nothing that this machine can be asked."""

    def render(self, job: Job) -> dict[str, str]:
        values = {
            "name": job.name,
            "number": job.number,
            "bin": str(Path(sys.executable).parent),
            "environment": job.settings.environment,
            "run": str(job.runs[0].root),
            "key": job.key,
        }
        return {SCRIPT: render("local.sh.j2", values)}

    def submit(self, job: Job, file: Path) -> str:
        """The id of a job: host, process id, and when that process was created."""
        log = job.runs[0].job_log
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as output:
            process = subprocess.Popen(
                ["bash", str(file)], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd="/"
            )
        return f"{socket.gethostname()}:{process.pid}:{psutil.Process(process.pid).create_time()}"

    def find(self, key: str) -> str | None:
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("MIDTRAIN_JOB") == f"local:{key}" and process.cmdline()[-1:] == ["job"]:
                    return f"{socket.gethostname()}:{process.pid}:{process.create_time()}"
        return None

    def look(self, jobs: Sequence[str]) -> dict[str, JobState]:
        return {job: _look(job) for job in jobs}

    def cancel(self, job: str) -> None:
        """End it without a save. What it has started sees that it is gone, and ends."""
        if process := _process(job):
            os.kill(process.pid, signal.SIGKILL)


def _look(job: str) -> JobState:
    host = job.partition(":")[0]
    if host != socket.gethostname():
        return JobState(phase="unknown", why=f"it is a process on {host}; look there")
    return JobState(phase="running", word="running", nodes=host) if _process(job) else JobState(phase="gone", word="ended")


def _process(job: str) -> psutil.Process | None:
    host, pid, created = job.rsplit(":", 2)
    if host != socket.gethostname():
        raise InfrastructureError(f"{job} is a process on {host}. Give the command there.")
    try:
        process = psutil.Process(int(pid))
        same = abs(process.create_time() - float(created)) < _TOO_OLD and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return process if same else None
