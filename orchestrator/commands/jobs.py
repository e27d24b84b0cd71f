"""How the jobs of runs stand on their platforms. A platform is asked once for all of its jobs, and about finished runs not at all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.errors import OrchestratorError, RunExistsError
from orchestrator.platforms.choosing import platform_named
from orchestrator.platforms.job import JobState, Platform
from orchestrator.platforms.settings import Settings
from orchestrator.platforms.submissions import Submission, end_submission, kept_settings, newest_submission
from orchestrator.runs.attempts import Status, read_status
from orchestrator.runs.directory import RunDirectory

Standing = tuple[Submission, JobState]

_NEVER = JobState(phase="gone", word="never submitted")
_DONE = JobState(phase="ended", word="done")


@dataclass(slots=True)
class _Looked:
    """A run, while its job is looked for."""

    submission: Submission
    state: JobState | None = None
    place: Any = None


def jobs_of(runs: Sequence[RunDirectory]) -> list[Standing | None]:
    """The newest submission of each run, and how its job stands; none where there was none. What cannot be told is `unknown`, and why."""
    platforms: dict[Any, Platform] = {}
    found = [_look_for(run, platforms) for run in runs]
    asked: dict[Any, dict[str, str]] = {}
    for one in found:
        if one and one.state is None and one.submission.job:
            asked.setdefault(one.place, {})[one.submission.job] = one.submission.key
    states = {place: platforms[place].look(jobs) for place, jobs in asked.items()}
    return [(one.submission, one.state or states[one.place][one.submission.job or ""]) if one else None for one in found]


def readable_jobs_of(runs: Sequence[RunDirectory]) -> list[Standing | None]:
    """As `jobs_of`, for those who only look at many: none, too, of a run whose files cannot be read, which is said where its state is."""
    try:
        return jobs_of(runs)
    except (OrchestratorError, OSError):
        return [None] if len(runs) == 1 else [found for run in runs for found in readable_jobs_of([run])]


def job_of(run: RunDirectory) -> Standing | None:
    """As `jobs_of`, of one run."""
    return jobs_of([run])[0]


def refuse_alive(run: RunDirectory) -> None:
    """Refuse to train a run here whose job is there to do it.

    Raises:
        RunExistsError: the job waits or runs.
    """
    found = job_of(run)
    if found and found[1].is_alive:
        raise RunExistsError(
            f"{run.root} has job {found[0].job} on {found[0].platform}, {found[1].word}, which would take it over. Stop that first: "
            f"midtrain stop {run.root}"
        )


def is_its_own(status: Status, submission: Submission) -> bool:
    """Whether the last attempt of a run was made by the job of a submission."""
    return status.job is not None and status.job == f"{submission.platform}:{submission.job}"


def platform_of(run: RunDirectory, submission: Submission) -> Platform:
    """Where a submission went to."""
    return platform_named(submission.platform, kept_settings(run, submission))


def job_id(number: str, task: int | None) -> str:
    """The id of a job, or of a task of an array."""
    return number if task is None else f"{number}_{task}"


def _look_for(run: RunDirectory, platforms: dict[Any, Platform]) -> _Looked | None:
    newest = newest_submission(run)
    if newest is None:
        return None
    if read_status(run).state == "finished":
        return _Looked(newest, _DONE)
    try:
        settings = kept_settings(run, newest)
        place = _place(newest.platform, settings)
        platforms.setdefault(place, platform_named(newest.platform, settings))
        return _with_job(run, newest, platforms[place], place)
    except OrchestratorError as error:
        return _Looked(newest, JobState(phase="unknown", why=str(error)))


def _place(platform: str, settings: Settings) -> Any:
    """What tells clusters of the same kind apart."""
    return (platform, getattr(settings, "context", None), getattr(settings, "namespace", None))


def _with_job(run: RunDirectory, submission: Submission, platform: Platform, place: Any) -> _Looked:
    """With its job, which is looked for if no answer came when it was submitted."""
    if submission.job is not None:
        return _Looked(submission, place=place)
    found = platform.find(submission.key)
    if found is None:
        return _Looked(submission, _NEVER)
    known = replace(submission, job=job_id(found, submission.task))
    end_submission(run, known)
    return _Looked(known, place=place)
