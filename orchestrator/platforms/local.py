"""This machine: a process that goes on when the terminal is closed."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from orchestrator.errors import InfrastructureError
from orchestrator.platforms.job import Job, JobState
from orchestrator.platforms.settings import LocalSettings
from orchestrator.platforms.templates import render
from orchestrator.runs.attempts import JOB

SCRIPT = "job.sh"


class Local:
    """The machine that the command is given on."""

    has_arrays = False

    def check_settings(self, job: Job) -> None:
        """They are the environment alone."""

    def check(self, job: Job) -> None:
        """There is nothing that this machine can be asked."""

    def render(self, job: Job) -> dict[str, str]:
        values = {
            "name": job.name,
            "number": job.number,
            "bin": str(Path(sys.executable).parent),
            "environment": job.settings.environment,
            "run": str(job.runs[0].root),
            "job": _id(job.key),
        }
        return {SCRIPT: render("local.sh.j2", values)}

    def own(self, job: Job) -> None:
        """They are run by whoever makes them."""

    def submit(self, job: Job, file: Path) -> str:
        """The id of a job: the host, and the key."""
        log = job.runs[0].job_log
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as output:
            subprocess.Popen(["bash", str(file)], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd="/")
        return _id(job.key)

    def find(self, key: str) -> str | None:
        return _id(key) if _process(_id(key)) else None

    def look(self, jobs: Mapping[str, str]) -> dict[str, JobState]:
        return {job: _look(job) for job in jobs}

    def cancel(self, job: str, key: str) -> None:
        """End it without a save. What it has started sees that it is gone, and ends."""
        if process := _process(job):
            os.kill(process.pid, signal.SIGKILL)

    def kept(self, settings: LocalSettings) -> LocalSettings:
        return settings


def _id(key: str) -> str:
    return f"{socket.gethostname()}:{key}"


def _look(job: str) -> JobState:
    host = job.rpartition(":")[0]
    if host != socket.gethostname():
        return JobState(phase="unknown", why=f"it is a process on {host}; look there")
    return JobState(phase="running", word="running", nodes=host) if _process(job) else JobState(phase="gone", word="ended")


def _process(job: str) -> psutil.Process | None:
    """The process of a job: what has its name in its environment, and was started by none that has."""
    if job.rpartition(":")[0] != socket.gethostname():
        raise InfrastructureError(f"{job} is a process on another host. Give the command there.")
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            is_it = process.environ().get(JOB) == f"local:{job}" and process.cmdline()[-1:] == ["job"]
            if is_it and process.status() != psutil.STATUS_ZOMBIE:
                return process
    return None
