"""Submitting runs: what is alive already is left alone, the rest is checked, kept in the run directory, and given to the platform."""

import secrets
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from orchestrator.checkpoints.store import is_committed, step_directory
from orchestrator.commands.console import Console
from orchestrator.commands.jobs import Standing, is_its_own, job_id, job_of
from orchestrator.config.load import dump_config
from orchestrator.config.schema import Config
from orchestrator.doctor.findings import refuse_bad
from orchestrator.doctor.here import check_inputs
from orchestrator.errors import InfrastructureError, RunExistsError
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.plan_file import write_plan
from orchestrator.platforms.choosing import platform_named
from orchestrator.platforms.job import Job, Platform, shape_of
from orchestrator.platforms.settings import Settings
from orchestrator.platforms.submissions import (
    Submission,
    begin_submission,
    end_submission,
    newest_submission,
    only_launcher,
)
from orchestrator.runs.attempts import OVER_FOR_GOOD, read_status
from orchestrator.runs.directory import RunDirectory, create_run
from orchestrator.runs.lines import read_lines
from orchestrator.runs.stop_request import withdraw_stop

_LOOK_SECONDS = 2.0
_TAKEN_DOWN_SECONDS = 180.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A run that is to be submitted.

    Attributes:
        run, config, plan: its directory, configuration and plan.
        exists: whether the directory is made already.
        submissions: the number of its newest one; 0 when there is none.
    """

    run: RunDirectory
    config: Config
    plan: Plan
    exists: bool
    submissions: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Where:
    """Where to, and what the submission is called there.

    Attributes:
        name: of the submission.
        platform, profile, settings: where to.
        is_named: whether a person has named the platform for a run that was launched before: it goes there though nobody can tell whether
            the job that it had lives.
    """

    name: str
    platform: str
    profile: str
    settings: Settings
    is_named: bool = False


class How(Enum):
    """What becomes of what would be submitted."""

    SUBMIT = "submit"
    AGAIN = "again"  # by nobody's wish: a request to stop holds
    MAKE = "make"  # the runs and their files are made, for somebody else to submit
    PRINT = "print"  # and nothing is made


def submit(candidates: Sequence[Candidate], where: Where, console: Console, *, how: How = How.SUBMIT) -> None:
    """Submit runs, as one job or one array.

    Args:
        candidates: the runs. One that is finished or alive is said to be, and left alone.
        where: to submit them to.
        console: told what is done.
        how: whether they are submitted.

    Raises:
        ConfigError: it cannot work there.
        InfrastructureError: the platform does not answer; what is said of the run tells whether it may have the job.
    """
    platform = platform_named(where.platform, where.settings)
    wanted = [candidate for candidate in candidates if how is How.PRINT or not _is_settled(candidate, console, is_named=where.is_named)]
    if not wanted:
        return
    groups = [wanted] if platform.has_arrays else [[candidate] for candidate in wanted]
    jobs = [_job(group, where if platform.has_arrays else replace(where, name=group[0].config.run.name)) for group in groups]
    for job in jobs:
        platform.check_settings(job)
    if how is How.PRINT:
        for text in (text for job in jobs for text in platform.render(job).values()):
            console.print_text(text)
        return
    for job in jobs:
        platform.check(job)
    for candidate in wanted:
        _examine(candidate.config, where.settings, console)
    with ExitStack() as stack:
        for candidate in wanted:
            if not candidate.exists:
                _make(candidate)
            stack.enter_context(only_launcher(candidate.run))
        for candidate in wanted:
            _refuse_changed(candidate)
        for job in jobs:
            _give(job, platform, where, console, how)


def _refuse_changed(candidate: Candidate) -> None:
    """Refuse when another command has submitted a run since it was looked at."""
    newest = newest_submission(candidate.run)
    if (newest.number if newest else 0) != candidate.submissions:
        raise RunExistsError(f"{candidate.run.root} was submitted by another command just now. Nothing was submitted; launch again.")


def _examine(config: Config, settings: Settings, console: Console) -> None:
    """What a login node can find is not left to GPUs to find (law 4). A key that only jobs have, it cannot."""
    jobs_have_keys = "WANDB_API_KEY" in getattr(settings, "secrets", ()) or bool(getattr(settings, "setup", ()))
    findings = check_inputs(config, jobs_have_keys=jobs_have_keys)
    refuse_bad(findings)
    for each in findings:
        if each.verdict == "warning":
            console.warn(f"warning: {each.check} on {each.where}: {each.value}. {each.remedy}")


def _make(candidate: Candidate) -> None:
    create_run(candidate.run.root, config=dump_config(candidate.config), write_plan=lambda path: write_plan(candidate.plan, path))


def _give(job: Job, platform: Platform, where: Where, console: Console, how: How) -> None:
    """Write down what is about to be submitted, submit it, and write down the platform's answer."""
    files = platform.render(job)
    entry = Submission(number=job.number, platform=where.platform, profile=where.profile, key=job.key, from_step=0)
    is_array = len(job.runs) > 1
    entries = [replace(entry, from_step=last_step(run), task=index if is_array else None) for index, run in enumerate(job.runs)]
    settings = platform.kept(where.settings)
    folders = [begin_submission(run, entry, files, settings) for run, entry in zip(job.runs, entries, strict=True)]
    for run in job.runs if how is not How.AGAIN else ():
        withdraw_stop(run)
    platform.own(job)
    file = folders[0] / next(iter(files))
    if how is How.MAKE:
        console.say(
            f"{file} is made for {', '.join(str(run.root) for run in job.runs)}, and not submitted. Once it is, `midtrain status` finds it."
        )
        return
    number = platform.submit(job, file)
    for run, entry in zip(job.runs, entries, strict=True):
        own = job_id(number, entry.task)
        end_submission(run, replace(entry, job=own))
        console.say(f"{run.root} is submitted to {where.platform} as job {own}: {job.shape}. Watch it with: midtrain status {run.root}")


def _is_settled(candidate: Candidate, console: Console, *, is_named: bool) -> bool:
    """Whether nothing is left to submit of a run; why is said."""
    run, steps = candidate.run, candidate.plan.steps
    if not candidate.exists:
        return False
    status = read_status(run)
    if status.state == "finished" and is_committed(step_directory(run.checkpoints, steps)):
        console.say(f"{run.root} is finished: all {steps:,} steps are done. Nothing was submitted.")
        return True
    found = job_of(run)
    if found and found[1].is_alive and is_its_own(status, found[0]) and status.reason_class in OVER_FOR_GOOD:
        found = _when_ended(run, console)
    if found and found[1].is_alive:
        console.say(f"{run.root} is submitted already, as job {found[0].job}: {found[1].word}. Watch it with: midtrain status {run.root}")
        return True
    if status.state == "running":
        console.say(f"{run.root} is running already, started on host {status.host}. Watch it with: midtrain status {run.root}")
        return True
    has_said_its_end = found and is_its_own(status, found[0]) and status.state == "stopped"
    if found and found[1].phase == "unknown" and not has_said_its_end:
        unknown = (
            f"{run.root} was submitted, and whether its job {found[0].job or '?'} lives is not known: {found[1].why.removesuffix('.')}."
        )
        if not is_named:
            raise InfrastructureError(
                f"{unknown} If it is lost for good: midtrain resume {run.root} --on {found[0].platform}, or elsewhere."
            )
        console.warn(f"{unknown} It is submitted anew, because you have said where to.")
    return False


def _when_ended(run: RunDirectory, console: Console) -> Standing | None:
    """Wait for a job to go whose run has stopped for good: its platform takes a moment to take it down."""
    console.note(f"{run.root}: its last job is being taken down; waiting for that")
    deadline = time.monotonic() + _TAKEN_DOWN_SECONDS
    while (found := job_of(run)) and found[1].is_alive and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
    return found


def _job(wanted: Sequence[Candidate], where: Where) -> Job:
    job = job_for([candidate.run for candidate in wanted], wanted[0].config, where)
    return replace(
        job,
        number=max(candidate.submissions for candidate in wanted) + 1,
        first_checkpoint_seconds=_first_checkpoint_seconds(wanted[0]),
        paths=tuple(path for candidate in wanted for path in _paths(candidate.run, candidate.config)),
    )


def job_for(runs: Sequence[RunDirectory], config: Config, where: Where) -> Job:
    """A job that trains, or looks at, what a configuration says, in the directories of runs."""
    ranks_per_node = getattr(where.settings, "ranks_per_node", config.scheduling.world_size)
    return Job(
        name=where.name,
        runs=tuple(runs),
        number=1,
        key=secrets.token_hex(8),
        shape=shape_of(config.scheduling, ranks_per_node),
        scheduling=config.scheduling,
        settings=where.settings,
        profile=where.profile,
        paths=tuple(_paths(runs[0], config)),
    )


def _first_checkpoint_seconds(candidate: Candidate) -> float:
    """By the configuration's interval in minutes, or by the steps of attempts before; 0 when neither is known."""
    checkpoints, measured = candidate.config.checkpoints, []
    if candidate.exists:
        measured = [line["step_seconds"] for line in read_lines(candidate.run.metrics) if "step_seconds" in line]
    by_steps = [statistics.median(measured) * checkpoints.every_steps] if measured else []
    by_minutes = [checkpoints.insurance_minutes * 60] if checkpoints.insurance_minutes else []
    return min([*by_steps, *by_minutes], default=0.0)


def _paths(run: RunDirectory, config: Config) -> Iterator[tuple[str, str]]:
    """The directories that the nodes have to see."""
    yield "run.dir", str(run.root)
    yield "shards.dir", config.shards.dir
    if Path(config.model.path).is_dir():
        yield "model.path", config.model.path
    if config.model.start_from:
        yield "model.start_from", config.model.start_from


def last_step(run: RunDirectory) -> int:
    """The last step of a run that was logged."""
    return max((int(line["step"]) for line in read_lines(run.metrics)), default=0)
