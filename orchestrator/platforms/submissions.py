"""`RUN/launch/`: what was submitted for a run, a folder a submission, and a line when it is begun and when the platform has taken it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter

from orchestrator.config.validation import validated
from orchestrator.errors import ConfigError, RunExistsError
from orchestrator.platforms.settings import KINDS, Settings
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.durable import write_whole
from orchestrator.runs.lines import append_line, read_lines
from orchestrator.runs.locks import only_holder

SETTINGS = "settings.yaml"


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """Of a run.

    Attributes:
        number: from 1.
        platform, profile: where it went.
        key: what the platform can be asked for when it is not known whether it has the job.
        job: the platform's id; none: not known whether it has it.
        from_step: the last step that had been made before it.
        task: of an array; none: it is a job of its own.
    """

    number: int
    platform: str
    profile: str
    key: str
    from_step: int
    job: str | None = None
    task: int | None = None


@contextmanager
def only_launcher(run: RunDirectory) -> Iterator[None]:
    """Hold the run while it is submitted.

    Raises:
        RunExistsError: another command is submitting it.
    """
    run.launch.mkdir(exist_ok=True)
    with only_holder(run.launch / ".lock", RunExistsError(f"{run.root} is being submitted by another command. Look at: midtrain status")):
        yield


def read_submissions(run: RunDirectory) -> list[Submission]:
    """Every submission of a run, in order."""
    found: dict[int, Submission] = {}
    for line in read_lines(run.submissions):
        known = {field.name: line[field.name] for field in fields(Submission) if field.name in line}
        found[line["number"]] = Submission(**known)
    return list(found.values())


def kept_settings(run: RunDirectory, submission: Submission) -> Settings:
    """The settings that a submission was made with.

    Raises:
        ConfigError: they are gone, or of another version of midtrain.
    """
    path = run.launch / str(submission.number) / SETTINGS
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        return validated(KINDS[values["platform"]], values, "launch")
    except (OSError, yaml.YAMLError, TypeError, KeyError) as error:
        raise ConfigError(f"{path} cannot be read: {error}. Bring it back, or launch {run.root} anew with launch.profile=….") from None


def newest_submission(run: RunDirectory) -> Submission | None:
    """The last one; none when the run was never submitted."""
    return next(reversed(read_submissions(run)), None)


def begin_submission(run: RunDirectory, submission: Submission, files: Mapping[str, str], settings: Settings) -> Path:
    """Keep what is about to be submitted.

    Returns:
        The folder with the files.
    """
    folder = run.launch / str(submission.number)
    folder.mkdir(parents=True, exist_ok=True)
    values = TypeAdapter(type(settings)).dump_python(settings, mode="json")
    for name, text in {**files, SETTINGS: yaml.safe_dump(values, sort_keys=False)}.items():
        write_whole(folder / name, text.encode())
    _append(run, "submitting", submission)
    return folder


def end_submission(run: RunDirectory, submission: Submission) -> None:
    """Enter that the platform has the job."""
    _append(run, "submitted", submission)


def _append(run: RunDirectory, event: str, submission: Submission) -> None:
    stamp = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    values: dict[str, Any] = TypeAdapter(Submission).dump_python(submission)
    append_line(run.submissions, {"time": stamp, "event": event, **values})
