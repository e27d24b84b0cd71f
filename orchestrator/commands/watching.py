"""Submitting runs again that their platform has given up: by `midtrain launch --watch`, and by `midtrain status`."""

import time
from collections.abc import Sequence

from orchestrator.commands.console import Console
from orchestrator.commands.jobs import Standing, is_its_own, readable_jobs_of
from orchestrator.commands.launching import relaunch
from orchestrator.commands.status import OVER, run_status
from orchestrator.commands.submitting import How, last_step
from orchestrator.errors import OrchestratorError
from orchestrator.platforms.submissions import kept_settings, read_submissions
from orchestrator.runs.attempts import has_newest_ended, newest_start, read_status
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.stop_request import stop_requested

_LOOK_SECONDS = 10.0
_AGAIN = ("preempted", "infrastructure")  # classes of law 5 that another try can mend


def submit_again(run: RunDirectory, found: Standing | None, console: Console) -> bool:
    """Submit a run again whose job has ended though it could go on, if its budget allows.

    KubeRay does not: a head that died or a deadline that passed ends a RayJob for good. Slurm's script has itself requeued, unless the
    cluster is one that ends what it preempts, a budget of the job is spent, or nobody answered. What somebody has cancelled stays as it is.

    Args:
        run: its directory.
        found: its newest submission, and how that stands.
        console: told what is done, aside from its results.

    Returns:
        Whether it was submitted.
    """
    if found is None or not _has_been_given_up(run, found):
        return False
    most = getattr(kept_settings(run, found[0]), "max_resubmissions", 0)
    since = sum(1 for submission in read_submissions(run) if submission.from_step >= last_step(run))
    if not most:
        return False
    if since > most:
        console.warn(
            f"{run.root} is not submitted again: {since} submissions in a row made no step, and launch.max_resubmissions={most}. See "
            f"`midtrain logs {run.root}`; then go on with `midtrain resume {run.root}`."
        )
        return False
    console.note(
        f"{found[0].platform} has given {run.root} up: submitting it again, {since} of launch.max_resubmissions={most} without progress"
    )
    relaunch(run, [], console.aside(), how=How.AGAIN)
    return True


def _has_been_given_up(run: RunDirectory, found: Standing) -> bool:
    submission, job = found
    may_go_on = job.given_up or (job.failed and is_its_own(read_status(run), submission))  # what never began has its reasons in its log
    if job.phase != "ended" or not may_go_on or stop_requested(run, newest_start(run) + int(has_newest_ended(run))):
        return False
    status = run_status(run, found)
    return status.state == "lost" or (status.state == "stopped" and status.reason_class in _AGAIN)


def watch_runs(runs: Sequence[RunDirectory], console: Console) -> None:
    """Stay until all runs are over, and say how their states change. Nothing that happens to this command happens to them."""
    said: dict[RunDirectory, str] = {}
    going = list(runs)
    while going:
        for run, found in zip(list(going), readable_jobs_of(going), strict=True):
            try:
                submitted, status = submit_again(run, found, console), run_status(run, found)
            except (OrchestratorError, OSError) as error:
                console.warn(f"{run.root}: {error}")
                continue
            words = f"{run.root}: {status.state}{f', {status.platform_state}' if status.platform_state else ''}"
            if said.get(run) != words:
                said[run] = words
                console.note(f"{words}; step {status.step:,} of {status.steps:,}{f'; {status.reason}' if status.reason else ''}")
            if status.state in OVER and not submitted:
                going.remove(run)
        if going:
            time.sleep(_LOOK_SECONDS)
