"""`midtrain status`: how runs stand, from their directories, and from their platforms where these answer."""

import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.commands.console import Console, duration
from orchestrator.commands.jobs import Standing, is_its_own, job_of, readable_jobs_of
from orchestrator.config.secrets import refuse_secrets
from orchestrator.corpus.storage import is_url
from orchestrator.errors import ConfigError, OrchestratorError
from orchestrator.mixture.plan_file import read_plan
from orchestrator.platforms.job import JobState
from orchestrator.report.goodput import account
from orchestrator.runs.attempts import OVER_FOR_GOOD, Status, read_status
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines

SubmitAgain = Callable[[RunDirectory, Standing | None, Console], bool]
OVER = ("finished", "stopped", "lost", "planned")  # states in which nothing goes on by itself

_ANSWER_SECONDS = 60.0
_RECENT_LINES = 50
_NAMES = {
    "starting": "start-up",
    "first_step": "first batch, compiling",
    "steps": "steps",
    "data_wait": "waiting for data",
    "saving": "stalled by checkpoints",
    "evaluating": "evaluation",
    "again": "steps made again",
    "ending": "ending",
    "down": "down",
    "lost": "attempts that were killed",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStatus:
    """How a run stands.

    Attributes:
        run: its directory.
        state: `planned`, `queued`, `starting`, `running`, `finished`, `stopped`, `lost` (it ended without saying why) or `unknown`.
        platform, job, platform_state: where it was submitted last, and how its job stands there; none: nowhere.
        step, steps: the last one that was logged, and how many the plan has.
        loss, tokens_per_second: of the newest line that has them.
        seconds_left: at the pace of the newest lines; none unless it runs.
        attempts: how many times it was started.
        reason, reason_class, exit_code: of the last stop.
        goodput: the share of all time up to the last stop, that between attempts included, in which updates were made that stayed.
        seconds: where that time went.
    """

    run: str
    state: str
    platform: str | None
    job: str | None
    platform_state: str | None
    step: int
    steps: int
    loss: float | None
    tokens_per_second: float | None
    seconds_left: float | None
    attempts: int
    reason: str | None
    reason_class: str | None
    exit_code: int | None
    goodput: float
    seconds: dict[str, float]


def run_status(run: RunDirectory, job: Standing | None = None) -> RunStatus:
    """How one run stands.

    Args:
        run: its directory.
        job: its newest submission, and how that stands; none: it was never submitted.

    Raises:
        ConfigError: it is not a run.
    """
    if not run.plan.exists():
        raise ConfigError(f"{run.root} is not a run: it has no plan.json. `midtrain status` without a path lists the runs below runs/.")
    status = read_status(run)
    state, reason = _state(run, status, job)
    metrics = list(read_lines(run.metrics))
    spent = account(list(read_lines(run.attempts)), read_lines(run.events), metrics)
    step, steps = max((line["step"] for line in metrics), default=0), read_plan(run.plan).steps
    paces = [line["step_seconds"] for line in metrics[-_RECENT_LINES:] if "step_seconds" in line]
    return RunStatus(
        run=str(run.root),
        state=state,
        platform=job[0].platform if job else None,
        job=job[0].job if job else None,
        platform_state=_words(job[1]) if job else None,
        step=step,
        steps=steps,
        loss=_newest(metrics, "loss"),
        tokens_per_second=_newest(metrics, "tokens_per_second"),
        seconds_left=round((steps - step) * statistics.median(paces), 1) if paces and state == "running" else None,
        attempts=status.attempts,
        reason=reason,
        reason_class=status.reason_class,
        exit_code=status.exit_code,
        goodput=round(spent.goodput, 4),
        seconds={name: round(seconds, 3) for name, seconds in asdict(spent).items()},
    )


def _state(run: RunDirectory, status: Status, found: Standing | None) -> tuple[str, str | None]:
    """What the ledger and the platform say together, and the reason of the last stop. The ledger's lock is not seen on other machines."""
    if found is None or status.state in ("running", "finished"):
        return status.state, status.reason
    submission, job = found
    if job.phase == "waiting":
        return "queued", status.reason
    if job.phase == "running":
        has_stopped = status.reason_class in OVER_FOR_GOOD and is_its_own(status, submission)
        return ("running", None) if status.state == "lost" else ("stopped" if has_stopped else "starting", status.reason)
    if job.phase == "unknown" and not (status.reason_class in OVER_FOR_GOOD and is_its_own(status, submission)):
        return "unknown", f"whether its job lives is not known: {job.why}"
    if status.state == "planned" and job.phase in ("ended", "gone") and submission.job:
        logs = "`midtrain logs`" if run.job_log.exists() else f"what the platform wrote, if it did, in {run.launch}"
        return "lost", f"its job ended before its first attempt: {_words(job)}. See {logs}."
    if status.state == "lost" and job.word:
        return "lost", f"the attempt ended without a word; its job: {_words(job)}"
    return status.state, status.reason


def _words(job: JobState) -> str:
    word = job.word or job.phase
    return f"{word} ({job.why})" if job.why else word


def _newest(metrics: Sequence[dict[str, Any]], key: str) -> float | None:
    return next((line[key] for line in reversed(metrics) if key in line), None)


def all_statuses(place: str | None, console: Console, submit_again: SubmitAgain) -> list[dict[str, Any]]:
    """How one run stands, or all below runs/.

    Args:
        place: a run's directory, or the URL of its second home; none: all.
        console: told what is done.
        submit_again: submits a run again that its platform has given up.
    """
    if place and is_url(place):
        return [_status_from(place.rstrip("/"), console)]
    runs = [RunDirectory(Path(place).absolute())] if place else find_runs(Path("runs"))
    return [_row_of(run, found, console, submit_again, alone=bool(place)) for run, found in zip(runs, readable_jobs_of(runs), strict=True)]


def _row_of(run: RunDirectory, found: Standing | None, console: Console, submit_again: SubmitAgain, *, alone: bool) -> dict[str, Any]:
    """One run, submitted again if need be. What is wrong with one does not keep the others from being shown."""
    try:
        if submit_again(run, found, console):
            found = job_of(run)
    except (OrchestratorError, OSError) as error:
        console.warn(f"{run.root} is not submitted again: {error}")
    try:
        return asdict(run_status(run, found))
    except (OrchestratorError, OSError) as error:
        if alone:
            raise
        return asdict(unreadable(run, str(error)))


def unreadable(run: RunDirectory, why: str) -> RunStatus:
    """A run whose files cannot be read."""
    return RunStatus(
        run=str(run.root),
        state="unknown",
        platform=None,
        job=None,
        platform_state=None,
        step=0,
        steps=0,
        loss=None,
        tokens_per_second=None,
        seconds_left=None,
        attempts=0,
        reason=why,
        reason_class=None,
        exit_code=None,
        goodput=0.0,
        seconds={},
    )


def is_over(run: RunDirectory) -> bool:
    """Whether a run has ended, and neither a process here nor a job is there to go on with it."""
    return run_status(run, job_of(run)).state in OVER


def _status_from(url: str, console: Console) -> dict[str, Any]:
    """As of the newest checkpoint in a second home."""
    from orchestrator.second_home.fetch import newest_run_files
    from orchestrator.second_home.home import SecondHome
    from orchestrator.second_home.run_files import place_files

    refuse_secrets([url])
    _, files = newest_run_files(partial(SecondHome, url, answer_seconds=_ANSWER_SECONDS), console.warn)
    with tempfile.TemporaryDirectory() as folder:
        place_files(files, Path(folder))
        run = RunDirectory(Path(folder))
        found = asdict(run_status(run, job_of(run)))
    is_lost = found["state"] == "lost"  # the attempt that made the checkpoint had not ended then
    known = {"state": "unknown", "reason": "as of its newest checkpoint in the second home"} if is_lost else {}
    return found | {"run": url} | known


def find_runs(root: Path) -> list[RunDirectory]:
    """The runs directly below a directory."""
    return [RunDirectory(path.parent) for path in sorted(root.glob("*/plan.json"))]


def show_seconds(status: dict[str, Any], console: Console) -> None:
    """Where the time of one run went."""
    total = sum(status["seconds"].values())
    if total:
        rows = [[_NAMES[name], f"{seconds:,.1f}", f"{seconds / total:.1%}"] for name, seconds in status["seconds"].items() if seconds]
        console.table(f"where {total:,.0f} seconds went; goodput {status['goodput']:.1%}", ["", "seconds", "share"], rows)


def show_statuses(statuses: list[dict[str, Any]], console: Console) -> None:
    """Runs as a table; the column of platforms is left out where there are none."""
    has_jobs = any(status["platform"] for status in statuses)
    columns = ["run", "state", *(["platform"] if has_jobs else []), "step", "loss", "tokens/s", "left", "attempts", "last stop"]
    console.table("runs", columns, [_row(status, has_jobs=has_jobs) for status in statuses])


def _row(status: dict[str, Any], *, has_jobs: bool) -> list[str]:
    platform = f"{status['platform']} {status['job'] or '?'}: {status['platform_state']}" if status["platform"] else ""
    return [
        status["run"],
        status["state"],
        *([platform] if has_jobs else []),
        f"{status['step']:,} of {status['steps']:,}",
        "" if status["loss"] is None else f"{status['loss']:.3f}",
        "" if status["tokens_per_second"] is None else f"{status['tokens_per_second']:,.0f}",
        "" if status["seconds_left"] is None else duration(status["seconds_left"]),
        f"{status['attempts']}",
        status["reason"] or "",
    ]
