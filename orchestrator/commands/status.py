"""`midtrain status`: how runs stand, from their directories alone."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from orchestrator.commands.console import Console
from orchestrator.errors import ConfigError
from orchestrator.mixture.plan_file import read_plan
from orchestrator.report.goodput import account
from orchestrator.runs.attempts import read_status
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines

KEYS = ("run", "state", "step", "steps", "attempts", "reason", "class", "exit_code", "goodput", "seconds")
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


def run_status(run: RunDirectory) -> dict[str, Any]:
    """How one run stands.

    Returns:
        The values of `KEYS`; step is the last one that was logged, goodput the share of all time up to the last stop, that between attempts
        included, in which updates were made that stayed, seconds where that time went.

    Raises:
        ConfigError: it is not a run.
    """
    if not run.plan.exists():
        raise ConfigError(f"{run.root} is not a run: it has no plan.json. `midtrain status` without a path lists the runs below runs/.")
    status = read_status(run)
    spent = account(list(read_lines(run.attempts)), read_lines(run.events), read_lines(run.metrics))
    step = max((line["step"] for line in read_lines(run.metrics)), default=0)
    values = (
        str(run.root),
        status.state,
        step,
        read_plan(run.plan).steps,
        status.attempts,
        status.reason,
        status.reason_class,
        status.exit_code,
        round(spent.goodput, 4),
        {name: round(seconds, 3) for name, seconds in asdict(spent).items()},
    )
    return dict(zip(KEYS, values, strict=True))


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
    """Runs as a table."""
    rows = [[s["run"], s["state"], f"{s['step']:,} of {s['steps']:,}", f"{s['attempts']}", s["reason"] or ""] for s in statuses]
    console.table("runs", ["run", "state", "step", "attempts", "last stop"], rows)
