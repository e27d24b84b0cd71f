"""`midtrain status SWEEP`: its trials, how far they are, and the best so far, once or as they go on."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orchestrator.commands.console import Console, duration
from orchestrator.commands.jobs import readable_jobs_of
from orchestrator.commands.status import OVER
from orchestrator.commands.sweeping.pruning import measured_so_far
from orchestrator.commands.sweeping.showing import short, shown
from orchestrator.commands.sweeping.standing import TrialStanding, standings_of, varied_keys
from orchestrator.commands.watching import submit_again
from orchestrator.errors import OrchestratorError
from orchestrator.report.wording import percent
from orchestrator.runs.locks import is_held
from orchestrator.sweep.directory import SweepDirectory, TrialEntry, read_trials
from orchestrator.sweep.settings import CONTROL
from orchestrator.sweep.stored import read_stored

_LOOK_SECONDS = 2.0
_NO_MORE = (*OVER, "failed", "pruned", "unknown")
_SHORT_REASON = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A trial, as status tells of it.

    Attributes:
        standing: how it stands.
        uptake, forgetting: at its newest evaluation; none before the first.
        is_best: whether no other trial has more uptake and less forgetting by now.
    """

    standing: TrialStanding
    uptake: float | None
    forgetting: float | None
    is_best: bool


def sweep_status(sweep: SweepDirectory) -> dict[str, Any]:
    """For scripts: how many trials are in each state, the best so far, and each trial."""
    rows = _rows(sweep)
    return {
        "sweep": str(sweep.root),
        "at_work": is_held(sweep.lock),
        "states": dict(Counter(row.standing.state for row in rows)),
        "best": [row.standing.entry.trial_id for row in rows if row.is_best],
        "trials": [_plain(row) for row in rows],
    }


def sweep_lines(root: Path) -> Iterator[str]:
    """A line for each of the sweeps directly below a directory."""
    for path in sorted(root.glob("*/sweep.yaml")):
        sweep = SweepDirectory(path.parent)
        counts = Counter(standing.state for standing in standings_of(sweep).values())
        states = ", ".join(f"{count} {state}" for state, count in counts.items())
        yield f"sweep {sweep.root}: {states or 'no trials'}. See: midtrain status {sweep.root}"


def tend(sweep: SweepDirectory, console: Console) -> None:
    """Submit those of its trials again that their platform has given up."""
    runs = [sweep.run(entry.trial_id) for entry in read_trials(sweep)]
    for run, found in zip(runs, readable_jobs_of(runs), strict=True):
        try:
            submit_again(run, found, console)
        except (OrchestratorError, OSError) as error:
            console.warn(f"{run.root} is not submitted again: {error}")


def show_status(sweep: SweepDirectory, console: Console) -> None:
    """A table, and what it comes to."""
    title, columns, rows, summary = _page(sweep)
    console.table(title, columns, rows)
    console.say(summary)


def watch_sweep(sweep: SweepDirectory, console: Console) -> None:
    """Show it again and again, until nothing of it goes on. What becomes of this command does nothing to the sweep."""
    with console.live() as show:
        while True:
            title, columns, rows, summary = _page(sweep)
            show(title, columns, rows, summary)
            tend(sweep, console)
            if not is_held(sweep.lock) and all(standing.state in _NO_MORE for standing in standings_of(sweep).values()):
                return
            time.sleep(_LOOK_SECONDS)


def _page(sweep: SweepDirectory) -> tuple[str, list[str], list[list[str]], str]:
    rows = _rows(sweep)
    keys = varied_keys(read_stored(sweep), [row.standing.entry for row in rows])
    columns = ["arm", *map(short, keys), "seed", "state", "step", "uptake", "forgetting", "left", "why"]
    return f"{sweep.root.name}: {len(rows)} trials", columns, [_cells(row, keys) for row in rows], _summary(rows, keys)


def _rows(sweep: SweepDirectory) -> list[Row]:
    roles = read_stored(sweep).roles
    found = []
    for standing in standings_of(sweep).values():
        found.append((standing, _newest(sweep, standing.entry, roles)))
    points = [at for standing, at in found if at and standing.entry.arm != CONTROL]
    return [
        Row(
            standing=standing,
            uptake=at[0] if at else None,
            forgetting=at[1] if at else None,
            is_best=at is not None and standing.entry.arm != CONTROL and not any(_is_better(other, at) for other in points),
        )
        for standing, at in found
    ]


def _newest(sweep: SweepDirectory, entry: TrialEntry, roles: Mapping[str, str]) -> tuple[float, float] | None:
    """Uptake and forgetting at a trial's newest evaluation; none before the first, or where its files cannot be read."""
    try:
        measured = measured_so_far(sweep.run(entry.trial_id), entry, roles)
    except (OrchestratorError, OSError):
        return None
    return (measured.uptake[-1], measured.forgetting[-1]) if measured.shares else None


def _is_better(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] >= other[0] and one[1] <= other[1] and one != other


def _cells(row: Row, keys: Sequence[str]) -> list[str]:
    standing = row.standing
    entry, status = standing.entry, standing.status
    reason = standing.reason or "" if standing.state not in ("finished", "running") else ""
    return [
        entry.arm,
        *(shown(entry.setting.get(key)) for key in keys),
        str(entry.seed),
        standing.state,
        f"{status.step:,} of {entry.steps:,}",
        "" if row.uptake is None else percent(row.uptake, 2, signed=True) + ("*" if row.is_best else " "),
        "" if row.forgetting is None else percent(row.forgetting, 2, signed=True),
        "" if status.seconds_left is None else duration(status.seconds_left),
        reason if len(reason) <= _SHORT_REASON else f"{reason[:_SHORT_REASON]}\N{HORIZONTAL ELLIPSIS}",
    ]


def _summary(rows: Sequence[Row], keys: Sequence[str]) -> str:
    states = Counter(row.standing.state for row in rows)
    steps, done = sum(row.standing.entry.steps for row in rows), sum(row.standing.status.step for row in rows)
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    words = f"{done:,} of {steps:,} steps, {counts}."
    best = [row for row in rows if row.is_best]
    if best:
        settings = sorted({_setting(row, keys) for row in best})
        words += f" * Best so far, with nothing above them: {'; '.join(settings)}."
    return words


def _setting(row: Row, keys: Sequence[str]) -> str:
    setting: Mapping[str, Any] = row.standing.entry.setting
    return " ".join(f"{short(key)} {shown(setting[key])}" for key in keys if key in setting) or "as configured"


def _plain(row: Row) -> dict[str, Any]:
    standing = row.standing
    return {
        **asdict(standing.entry),
        "setting": dict(standing.entry.setting),
        "state": standing.state,
        "reason": standing.reason,
        "uptake": row.uptake,
        "forgetting": row.forgetting,
        "run": asdict(standing.status),
    }
