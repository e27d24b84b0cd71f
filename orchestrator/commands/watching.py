"""Submitting runs again that their platform has given up: by `midtrain launch --watch`, and by `midtrain status`."""

import time
from collections.abc import Sequence

from orchestrator.commands.console import Console
from orchestrator.commands.jobs import job_of
from orchestrator.commands.launching import relaunch
from orchestrator.commands.status import run_status
from orchestrator.commands.submitting import last_step
from orchestrator.errors import OrchestratorError
from orchestrator.platforms.profiles import read_settings
from orchestrator.platforms.submissions import SETTINGS, newest_submission, read_submissions
from orchestrator.runs.directory import RunDirectory

_LOOK_SECONDS = 5.0
_OVER = ("finished", "stopped", "lost")
_AGAIN = ("preempted", "infrastructure")  # classes of law 5 that another try can mend


def submit_again(run: RunDirectory, console: Console) -> None:
    """Submit a run again whose job has ended though it could go on, if its budget allows.

    KubeRay does not: a head that died or a deadline that passed ends a RayJob for good. Slurm's script has itself requeued.
    """
    newest = newest_submission(run)
    if newest is None or newest.job is None:
        return
    settings = read_settings(run.launch / str(newest.number) / SETTINGS)
    most = getattr(settings, "max_resubmissions", 0)
    if not most or not _has_been_given_up(run):
        return
    since = sum(1 for submission in read_submissions(run) if submission.from_step >= last_step(run))
    if since > most:
        console.warn(
            f"{run.root} is not submitted again: {since} submissions in a row made no step, and launch.max_resubmissions={most}. See "
            f"`midtrain logs {run.root}`; then go on with `midtrain resume {run.root}`."
        )
        return
    console.note(f"{newest.platform} has given {run.root} up: submitted again, {since} of launch.max_resubmissions={most} without progress")
    relaunch(run, [], console)


def _has_been_given_up(run: RunDirectory) -> bool:
    job = job_of(run)
    if job is None or job[1].phase != "ended":
        return False
    status = run_status(run, job)
    return status.state == "lost" or (status.state == "stopped" and status.reason_class in _AGAIN)


def watch_runs(runs: Sequence[RunDirectory], console: Console) -> None:
    """Stay until all runs are over, and say how their states change. Nothing that happens to this command happens to them."""
    said: dict[str, str] = {}
    going = list(runs)
    while going:
        for run in list(going):
            try:
                submit_again(run, console)
                status = run_status(run, job_of(run))
            except OrchestratorError as error:
                console.warn(f"{run.root}: {error}")
                continue
            line = f"{run.root}: {status.state}{f', {status.platform_state}' if status.platform_state else ''}"
            if said.get(str(run.root)) != line:
                said[str(run.root)] = line
                console.note(f"{line}; step {status.step:,} of {status.steps:,}{f'; {status.reason}' if status.reason else ''}")
            if status.state in _OVER:
                going.remove(run)
        if going:
            time.sleep(_LOOK_SECONDS)
