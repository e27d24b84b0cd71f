"""`midtrain report SWEEP`: from the directories of its trials to one page, pictures and tables."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import yaml

from orchestrator.commands.console import Console
from orchestrator.commands.sweeping.pruning import saved_words
from orchestrator.commands.sweeping.showing import held_words, short, shown
from orchestrator.commands.sweeping.standing import TrialStanding, standings_of, varied_keys
from orchestrator.errors import DataError, InfrastructureError, OrchestratorError
from orchestrator.frontier.estimates import Frontier, Point
from orchestrator.frontier.frontier import build_frontier
from orchestrator.frontier.trials import TrialResult
from orchestrator.report.sweep.findings import headline
from orchestrator.report.sweep.page import render_sweep_page
from orchestrator.report.sweep.pictures import write_pictures
from orchestrator.report.sweep.quantities import estimate_in_words
from orchestrator.report.sweep.reading import NOTHING_MEASURED, Measured, read_measured
from orchestrator.report.sweep.records import SweepRecords, TrialRecord
from orchestrator.report.sweep.tables import metrics_csv, ratios_csv
from orchestrator.report.wording import percent
from orchestrator.runs.durable import write_whole
from orchestrator.runs.spans import wall_seconds
from orchestrator.sweep.directory import SweepDirectory, newest_command
from orchestrator.sweep.reproducing import command_of
from orchestrator.sweep.settings import SPEC
from orchestrator.sweep.stored import Stored, read_stored


def make_sweep_report(sweep: SweepDirectory) -> SweepRecords:
    """Write the report of a sweep into its directory: report.html, ratios.csv, metrics.csv, frontier.png and frontier.svg.

    Raises:
        ConfigError: it is no sweep, or has no trials.
        DataError: a line of its ledger is damaged. What is wrong with files of its trials is told in the report.
        InfrastructureError: the report cannot be written.
    """
    records = read_sweep(sweep)
    try:
        write_whole(sweep.root / "ratios.csv", ratios_csv(records).encode())
        write_whole(sweep.root / "metrics.csv", metrics_csv(records).encode())
        write_pictures(records, sweep.root)
        write_whole(sweep.report, render_sweep_page(records).encode())
    except OSError as error:
        raise InfrastructureError(f"cannot write {sweep.report}: {error}. Make room or give yourself the right to write there.") from error
    return records


def read_sweep(sweep: SweepDirectory) -> SweepRecords:
    """All that the report tells, as values."""
    stored = read_stored(sweep)
    config = stored.values
    found = {name: _read(sweep, standing, stored.roles) for name, standing in standings_of(sweep).items()}
    standings = {name: standing for name, (standing, _) in found.items()}
    measured = {name: one for name, (_, one) in found.items()}
    frontier, no_frontier = _frontier(sweep, stored, standings, measured)
    return SweepRecords(
        name=sweep.root.name,
        model=config["model"]["description"] or config["model"]["path"],
        facts=_facts(stored, list(standings.values())),
        keys=varied_keys(stored, [standing.entry for standing in standings.values()]),
        roles=stored.roles,
        trials=[_record(sweep, stored, standing, measured[name]) for name, standing in standings.items()],
        frontier=frontier,
        no_frontier=no_frontier,
        has_gpus=bool(config["scheduling"]["gpus_per_rank"]),
        wall_seconds=wall_seconds([span for standing in standings.values() for span in standing.spans]),
        saved=saved_words(sweep),
        command=_command(sweep),
        config_text=sweep.config.read_text(encoding="utf-8"),
    )


def _read(sweep: SweepDirectory, standing: TrialStanding, roles: Mapping[str, str]) -> tuple[TrialStanding, Measured]:
    """A trial with what it measured. One whose files cannot be read is told as such, and keeps no other from the report."""
    try:
        return standing, read_measured(sweep.run(standing.entry.trial_id), roles)
    except (OrchestratorError, OSError) as error:
        return replace(standing, state="unknown", reason=str(error)), NOTHING_MEASURED


def _frontier(
    sweep: SweepDirectory, stored: Stored, standings: Mapping[str, TrialStanding], measured: Mapping[str, Measured]
) -> tuple[Frontier | None, str | None]:
    """That of the trials that have finished, or why they have none; neither while none of the spec has."""
    results = [
        _result(standing, measured[name])
        for name, standing in standings.items()
        if standing.state == "finished" and measured[name].coordinates is not None
    ]
    if not any(result.arm == SPEC for result in results):
        return None, None
    try:
        return build_frontier(results, max_forgetting=stored.sweep.max_forgetting), None
    except DataError as error:
        return None, f"No frontier: {error} To leave a trial out of the report, move its directory out of {sweep.trials}."


def _result(standing: TrialStanding, measured: Measured) -> TrialResult:
    entry = standing.entry
    return TrialResult(
        trial_id=entry.trial_id,
        arm=entry.arm,
        setting=entry.setting,
        seed=entry.seed,
        spec_share=entry.spec_share,
        spec_epochs=entry.spec_epochs,
        unique_spec_tokens=entry.unique_spec_tokens,
        total_tokens=entry.total_tokens,
        sources=measured.sources,
        probes=measured.probes,
    )


def _record(sweep: SweepDirectory, stored: Stored, standing: TrialStanding, measured: Measured) -> TrialRecord:
    entry, at = standing.entry, measured.coordinates
    config = sweep.run(entry.trial_id).config
    trial = yaml.safe_load(config.read_text(encoding="utf-8")) if config.exists() else stored.values
    return TrialRecord(
        trial_id=entry.trial_id,
        arm=entry.arm,
        setting=entry.setting,
        seed=entry.seed,
        state=standing.state,
        reason=standing.reason,
        reason_class=standing.status.reason_class,
        step=standing.status.step,
        steps=entry.steps,
        spec_share=entry.spec_share,
        spec_tokens=entry.spec_tokens,
        spec_epochs=entry.spec_epochs,
        total_tokens=entry.total_tokens,
        uptake=at.uptake if at else None,
        forgetting=at.forgetting if at else None,
        forgetting_by_source=at.forgetting_by_source if at else {},
        probes={name: float((scores.after - scores.before).mean()) for name, scores in measured.probes.items()},
        seconds=standing.seconds,
        gpu_hours=standing.rank_hours,
        attempts=standing.status.attempts,
        curves=measured.curves,
        command=command_of(stored.overrides, stored.values, trial, f"{entry.trial_id}-again"),
    )


def _facts(stored: Stored, standings: Sequence[TrialStanding]) -> list[str]:
    entries = [standing.entry for standing in standings]
    training, seeds = stored.values["training"], sorted({entry.seed for entry in entries})
    return [
        f"{len(entries)} trials, {len(seeds)} seed{'s' * (len(seeds) != 1)}",
        held_words(entries, stored.sweep.hold),
        f"sequences of {training['sequence_length']:,} tokens",
        "LoRA adapters" if training["lora"] else "all parameters",
    ]


def _command(sweep: SweepDirectory) -> str:
    return shlex.join(["midtrain", "sweep", *newest_command(sweep)])


def summary_of(records: SweepRecords) -> dict[str, Any]:
    """For scripts: the frontier, or why there is none of the trials that have finished, and each trial without its curves."""
    return {
        "name": records.name,
        "frontier": None if records.frontier is None else asdict(records.frontier),
        "no_frontier": records.no_frontier,
        "trials": [{key: value for key, value in _fields(trial).items() if key != "curves"} for trial in records.trials],
        "wall_seconds": records.wall_seconds,
    }


def _fields(trial: TrialRecord) -> dict[str, Any]:
    return {name: getattr(trial, name) for name in TrialRecord.__dataclass_fields__}


def show_report(records: SweepRecords, sweep: SweepDirectory, console: Console) -> None:
    """The frontier as a table, what it says, and where the page is."""
    frontier = records.frontier
    if frontier is None:
        unfinished = "No trial with the spec is finished yet, so there is no frontier."
        console.warn(f"{records.no_frontier or unfinished} The page shows what there is.")
    else:
        columns = ["arm", *map(short, records.keys), "seeds", "uptake", "forgetting", "over control", "on the front"]
        console.table("the frontier, with intervals of 90 %", columns, [_cells(point, records.keys) for point in frontier.points])
        for warning in frontier.warnings:
            console.warn(warning)
    console.say(headline(records))
    console.say(f"page: {sweep.report}")


def _cells(point: Point, keys: Sequence[str]) -> list[str]:
    return [
        point.arm,
        *(shown(point.setting.get(key)) for key in keys),
        str(len(point.trials)) if point.trials else "",
        estimate_in_words(point.uptake),
        estimate_in_words(point.forgetting),
        estimate_in_words(point.uptake_over_control) if point.uptake_over_control else "",
        f"{percent(point.front_share, 0)}{'*' if point.is_on_front else ' '}",
    ]
