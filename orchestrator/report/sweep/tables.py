"""The tables of a sweep as CSV, for spreadsheets and scripts: a row a trial, and a row a measured loss.

Both are as RFC 4180 has them: commas, CRLF, quotes where needed, a header. A text that a spreadsheet would take for a formula, as it
begins with `=`, `+`, `-`, `@`, a tab or a line's end, has an apostrophe put before it (OWASP, "CSV Injection"); numbers stay as they are.
"""

import csv
import io
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from orchestrator.frontier.estimates import Estimate, Point
from orchestrator.frontier.trials import Value
from orchestrator.report.sweep.records import SweepRecords, TrialRecord

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
_ESTIMATES = ("uptake", "forgetting", "uptake_over_control", "forgetting_over_control")
_Cell = Value


def ratios_csv(records: SweepRecords) -> str:
    """The trials, a row each, in the order in which they were added.

    Columns: the trial, its arm, each varied key, its seed and state, what was planned, what it measured (as shares, not percent), the
    estimates of its setting over all seeds with the ends of their intervals of 90 %, and what it cost. What is not known is left empty.
    """
    points = {trial: point for point in records.frontier.points for trial in point.trials} if records.frontier else {}
    sources = [name for name, role in records.roles.items() if role != "spec"]
    probes = records.probes
    rows = (
        [*_trial_cells(trial, records.keys, sources, probes), *_setting_cells(points.get(trial.trial_id), trial, probes)]
        for trial in records.trials
    )
    return _written([*_trial_columns(records.keys, sources, probes), *_setting_columns(probes)], rows)


def metrics_csv(records: SweepRecords) -> str:
    """The losses of all trials, a row each: trial, step, source, `heldout` or `train`, nats a token, steps. What is not known has none.

    `heldout` is each evaluation as it was measured. `train` is thinned as the page's curves are: a trial has at most 60 rows a source, each
    the mean over the source's tokens in so many `steps` up to and with `step`; every logged step is in the trial's own metrics.jsonl.
    """
    return _written(["trial", "step", "source", "what", "loss", "steps"], _losses(records))


def _trial_columns(keys: Sequence[str], sources: Sequence[str], probes: Sequence[str]) -> list[str]:
    planned = ["spec_share", "spec_tokens", "spec_epochs", "total_tokens"]
    return [
        "trial",
        "arm",
        *keys,
        "seed",
        "state",
        "step",
        "steps",
        *planned,
        "uptake",
        "forgetting",
        *[f"forgetting/{source}" for source in sources],
        *[f"probe/{probe}" for probe in probes],
    ]


def _trial_cells(trial: TrialRecord, keys: Sequence[str], sources: Sequence[str], probes: Sequence[str]) -> list[_Cell]:
    planned = [trial.spec_share, trial.spec_tokens, trial.spec_epochs, trial.total_tokens]
    measured = [trial.uptake, trial.forgetting, *map(trial.forgetting_by_source.get, sources), *map(trial.probes.get, probes)]
    setting: list[_Cell] = ["null" if key in trial.setting and trial.setting[key] is None else trial.setting.get(key) for key in keys]
    return [trial.trial_id, trial.arm, *setting, trial.seed, trial.state, trial.step, trial.steps, *planned, *measured]


def _setting_columns(probes: Sequence[str]) -> list[str]:
    names = [*_ESTIMATES, *[f"probe/{probe}" for probe in probes]]
    estimates = [f"setting_{name}{end}" for name in names for end in ("", "_low", "_high")]
    return [*estimates, "on_front", "front_share", "hours", "attempts", "reason_class", "command"]


def _setting_cells(point: Point | None, trial: TrialRecord, probes: Sequence[str]) -> list[_Cell]:
    found = [] if point is None else [*[getattr(point, name) for name in _ESTIMATES], *map(point.probes.get, probes)]
    estimates: list[_Cell] = [value for estimate in found or [None] * (len(_ESTIMATES) + len(probes)) for value in _ends(estimate)]
    front: list[_Cell] = [None, None] if point is None else [point.is_on_front, point.front_share]
    return [*estimates, *front, trial.gpu_hours, trial.attempts, trial.reason_class, trial.command]


def _ends(estimate: Estimate | None) -> list[_Cell]:
    return [None, None, None] if estimate is None else [estimate.value, estimate.low, estimate.high]


def _losses(records: SweepRecords) -> Iterator[list[_Cell]]:
    for trial in records.trials:
        if trial.curves is None:
            continue
        heldout, trained = trial.curves.heldout_steps.tolist(), trial.curves.steps.tolist()
        yield from _series([trial.trial_id, "heldout"], [(step, None) for step in heldout], trial.curves.heldout)
        numbers = [step - before for before, step in itertools.pairwise([0, *trained])]
        yield from _series([trial.trial_id, "train"], list(zip(trained, numbers, strict=True)), trial.curves.losses)


def _series(names: Sequence[str], steps: Sequence[tuple[int, int | None]], losses: Mapping[str, Iterable[float]]) -> Iterator[list[_Cell]]:
    """The rows of a trial's curves of one kind: a step each, and of how many steps the loss is the mean."""
    trial_id, what = names
    for source, values in losses.items():
        for (step, number), loss in zip(steps, values, strict=True):
            if math.isfinite(loss):
                yield [trial_id, step, source, what, float(f"{loss:.9g}"), number]


def _written(columns: Sequence[str], rows: Iterable[Sequence[_Cell]]) -> str:
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow([_guarded(name) for name in columns])
    writer.writerows([_guarded(cell) for cell in row] for row in rows)
    return file.getvalue()


def _guarded(cell: _Cell) -> _Cell:
    """The cell as it is written: no text that a spreadsheet would run, and `true` or `false` as in the configuration."""
    if isinstance(cell, bool):
        return str(cell).lower()
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell
