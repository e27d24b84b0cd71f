"""`midtrain doctor --on PLATFORM`: a job on the same nodes that a run would have looks at them, and is waited for."""

import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.commands.console import Console
from orchestrator.commands.job import DOCTOR, REPORT
from orchestrator.commands.submitting import Where, job_for
from orchestrator.config.load import dump_config, load_config
from orchestrator.doctor.findings import Report
from orchestrator.errors import InfrastructureError
from orchestrator.platforms.choosing import platform_named
from orchestrator.platforms.job import JobState, Platform
from orchestrator.platforms.profiles import load_settings, split_overrides
from orchestrator.platforms.settings import Settings, clock_of, seconds_of
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.durable import write_whole
from orchestrator.runs.records import read_record

_LOOK_SECONDS = 2.0
_LATE_SECONDS = 10.0  # a file can be seen that much later than the end of the job that wrote it
_LOOKING_SECONDS = 30 * 60  # images that have to be pulled included
_ONCE = ("max_restarts", "max_retries", "max_resubmissions")


def examine(platform: str, overrides: Sequence[str], console: Console) -> Report:
    """Have a job look at the nodes of a platform.

    Args:
        platform: slurm or kubernetes, or local.
        overrides: of the run, and of the launch.
        console: told what is waited for.

    Raises:
        OrchestratorError: the job could not be submitted, or ended without a report.
    """
    of_run, of_launch = split_overrides(overrides)
    config = load_config(of_run)
    profile, settings = load_settings(platform, of_launch)
    assert config.run.dir is not None
    folder = RunDirectory(Path(config.run.dir).with_name(f"doctor-{secrets.token_hex(4)}"))
    where = Where(name=folder.root.name, platform=platform, profile=profile, settings=for_looking(settings))
    job, there = job_for([folder], config, where), platform_named(platform, settings)
    there.check_settings(job)
    there.check(job)
    place, files = folder.launch / str(job.number), there.render(job)
    place.mkdir(parents=True)
    write_whole(folder.config, dump_config(config).encode())
    for name, text in files.items():
        write_whole(place / name, text.encode())
    there.own(job)
    number = there.submit(job, place / next(iter(files)))
    try:
        report = _wait(there, {number: job.key}, folder, console)
    except BaseException:
        there.cancel(number, job.key)
        raise
    shutil.rmtree(folder.root)
    return report


def for_looking(settings: Settings) -> Settings:
    """Of a job that is not started again, and that looks instead of training."""
    changes: dict[str, Any] = {name: 0 for name in _ONCE if hasattr(settings, name)}
    if limit := getattr(settings, "time_limit", None):  # short, so that it is soon begun
        changes["time_limit"] = clock_of(min(seconds_of(limit), getattr(settings, "stop_before_seconds", 0) + _LOOKING_SECONDS))
    if hasattr(settings, "after"):
        changes["after"] = ()
    return replace(settings, environment=settings.environment | {DOCTOR: "1"}, **changes)


def _wait(there: Platform, job: Mapping[str, str], folder: RunDirectory, console: Console) -> Report:
    said, ended_at = "", 0.0
    (number,) = job
    while not (folder.root / REPORT).exists():
        state = there.look(job)[number]
        if (words := _words(state)) != said:
            console.note(f"job {number}: {words}; Ctrl-C cancels it")
            said = words
        if not state.is_alive and state.phase != "unknown":
            ended_at = ended_at or time.monotonic()
            if time.monotonic() > ended_at + _LATE_SECONDS:
                raise InfrastructureError(f"job {number} ended without a report: {words}. {_last_words(folder)}")
        time.sleep(_LOOK_SECONDS)
    return read_record(folder.root / REPORT, Report)


def _words(state: JobState) -> str:
    return f"{state.word or state.phase}{f' ({state.why})' if state.why else ''}{f' on {state.nodes}' if state.nodes else ''}"


def _last_words(folder: RunDirectory) -> str:
    lines = folder.job_log.read_text(encoding="utf-8", errors="replace").splitlines() if folder.job_log.exists() else []
    return f"Its log, {folder.job_log}, ends with: {lines[-1][:200] if lines else 'nothing'}"
