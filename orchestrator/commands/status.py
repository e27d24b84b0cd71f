"""`midtrain status`: how runs stand, from their directories alone."""

from pathlib import Path
from typing import Any

from orchestrator.commands.console import Console
from orchestrator.errors import ConfigError
from orchestrator.mixture.plan_file import read_plan
from orchestrator.runs.attempts import read_status
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines

KEYS = ("run", "state", "step", "steps", "attempts", "reason", "class", "exit_code")


def run_status(run: RunDirectory) -> dict[str, Any]:
    """How one run stands.

    Returns:
        The values of `KEYS`; step is the last one that was logged.

    Raises:
        ConfigError: it is not a run.
    """
    if not run.plan.exists():
        raise ConfigError(f"{run.root} is not a run: it has no plan.json. `midtrain status` without a path lists the runs below runs/.")
    status = read_status(run)
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
    )
    return dict(zip(KEYS, values, strict=True))


def find_runs(root: Path) -> list[RunDirectory]:
    """The runs directly below a directory."""
    return [RunDirectory(path.parent) for path in sorted(root.glob("*/plan.json"))]


def show_statuses(statuses: list[dict[str, Any]], console: Console) -> None:
    """Runs as a table."""
    rows = [[s["run"], s["state"], f"{s['step']:,} of {s['steps']:,}", f"{s['attempts']}", s["reason"] or ""] for s in statuses]
    console.table("runs", ["run", "state", "step", "attempts", "last stop"], rows)
