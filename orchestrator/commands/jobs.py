"""How the jobs of runs stand on their platforms. A platform is asked once for all of its jobs, and about finished runs not at all."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from orchestrator.errors import OrchestratorError
from orchestrator.platforms.choosing import platform_named
from orchestrator.platforms.job import JobState, Platform
from orchestrator.platforms.profiles import read_settings
from orchestrator.platforms.submissions import SETTINGS, Submission, end_submission, newest_submission
from orchestrator.runs.attempts import read_status
from orchestrator.runs.directory import RunDirectory

Standing = tuple[Submission, JobState]

_NEVER = JobState(phase="gone", word="never submitted")
_DONE = JobState(phase="ended", word="done")


def jobs_of(runs: Sequence[RunDirectory]) -> list[Standing | None]:
    """The newest submission of each run, and how its job stands; none where there was none."""
    platforms: dict[Any, Platform] = {}
    asked: dict[Any, list[str]] = {}
    found: list[tuple[Submission, JobState | None, Any] | None] = []
    for run in runs:
        newest = newest_submission(run)
        if newest is None:
            found.append(None)
            continue
        place = _place(run, newest, platforms)
        submission, state = _with_job(run, newest, platforms[place])
        if state is None and submission.job:
            asked.setdefault(place, []).append(submission.job)
        found.append((submission, state, place))
    states = {place: platforms[place].look(jobs) for place, jobs in asked.items()}
    return [one and (one[0], one[1] or states[one[2]][one[0].job or ""]) for one in found]


def job_of(run: RunDirectory) -> Standing | None:
    """As `jobs_of`, of one run."""
    return jobs_of([run])[0]


def platform_of(run: RunDirectory, submission: Submission) -> Platform:
    """Where a submission went to."""
    return platform_named(submission.platform, read_settings(run.launch / str(submission.number) / SETTINGS))


def _place(run: RunDirectory, submission: Submission, platforms: dict[Any, Platform]) -> Any:
    """What tells clusters of the same kind apart; its platform is there afterwards."""
    settings = read_settings(run.launch / str(submission.number) / SETTINGS)
    place = (submission.platform, getattr(settings, "context", None), getattr(settings, "namespace", None))
    if place not in platforms:
        platforms[place] = platform_named(submission.platform, settings)
    return place


def _with_job(run: RunDirectory, submission: Submission, platform: Platform) -> tuple[Submission, JobState | None]:
    """A submission with its job, which is looked for if no answer came when it was submitted; and its state, if that needs no asking."""
    if read_status(run).state == "finished":
        return submission, _DONE
    if submission.job is not None:
        return submission, None
    try:
        found = platform.find(submission.key)
    except OrchestratorError as error:
        return submission, JobState(phase="unknown", why=str(error))
    if found is None:
        return submission, _NEVER
    known = replace(submission, job=job_id(found, submission.task))
    end_submission(run, known)
    return known, None


def job_id(number: str, task: int | None) -> str:
    """The id of a job, or of a task of an array."""
    return number if task is None else f"{number}_{task}"
