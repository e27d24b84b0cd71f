"""`midtrain replay`: which documents a step trained, and when a document was trained."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orchestrator.commands.console import Console
from orchestrator.config.load import read_config
from orchestrator.errors import ConfigError, InfrastructureError
from orchestrator.feed.replay import SourceDocuments, occurrences_of, trained_at
from orchestrator.feed.sources import read_planned
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.plan_file import read_plan
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines
from orchestrator.runs.skips import read_skips, skipped_steps
from orchestrator.shards.epoch import layout_of


def replay_step(run: RunDirectory, step: int) -> dict[str, Any]:
    """What a step of the run trains.

    Returns:
        `{step, is_trained, skipped, sequences: [{sequence, source, epoch, position, documents: [{id, origin, start, tokens}]}]}`; `skipped`
        is why its update is never made, none where it is.

    Raises:
        ConfigError: it is not a run, or has no such step.
        ShardError: a source is not what it was when the run was planned.
    """
    plan, sources = _open(run)
    if not 1 <= step <= plan.steps:
        raise ConfigError(f"--step {step}: {run.root} has steps 1 to {plan.steps:,}. Choose one of them.")
    sequences = [asdict(sequence) for sequence in trained_at(plan, sources, step)]
    skipped = _skipped(run).get(step)
    return {"step": step, "is_trained": step <= _last_step(run) and not skipped, "skipped": skipped, "sequences": sequences}


def replay_document(run: RunDirectory, document_id: str) -> dict[str, Any]:
    """When a document is trained in the run.

    Returns:
        `{document, trained, planned, unused_tokens, occurrences: [{step, sequence, source, epoch, tokens, is_trained, skipped}]}`. Two are
        in passes: tokens of it and of its copies that were trained so far, and that the whole plan trains, over its length.
        `unused_tokens` are those of them that `mixture.unique_tokens` leaves out.

    Raises:
        ConfigError: it is not a run, or no training document of it has that id.
        ShardError: a source is not what it was when the run was planned.
    """
    plan, sources = _open(run)
    last = _last_step(run)
    found = occurrences_of(plan, sources, document_id)
    if not (length := found.document_tokens):
        raise ConfigError(
            f"--document {document_id}: no training document of {run.root} has that id. `midtrain replay {run.root} --step N` lists ids; "
            f"held-out documents are never trained."
        )
    skipped = _skipped(run)
    rows = [
        asdict(time) | {"is_trained": time.step <= last and time.step not in skipped, "skipped": skipped.get(time.step)}
        for time in found.times
    ]
    trained = sum(row["tokens"] for row in rows if row["is_trained"]) / length
    planned = sum(row["tokens"] for row in rows if not row["skipped"]) / length
    passes = {"trained": trained, "planned": planned, "unused_tokens": found.unused_tokens}
    return {"document": document_id, **passes, "occurrences": rows}


def _open(run: RunDirectory) -> tuple[Plan, list[SourceDocuments]]:
    plan, config = read_plan(run.plan), read_config(run.config)
    layout, home = layout_of(config), Path(config.shards.dir)
    return plan, [
        SourceDocuments(home / manifest.name, manifest, packing=layout.packing, sequence_length=layout.sequence_length)
        for manifest in read_planned(plan, home, layout)
    ]


def _last_step(run: RunDirectory) -> int:
    return max((int(line["step"]) for line in read_lines(run.metrics)), default=0)


def _skipped(run: RunDirectory) -> dict[int, str]:
    """The steps that train nothing, and why."""
    return {step: skip.reason for skip in read_skips(run) for step in skipped_steps([skip])}


def show_step(found: dict[str, Any], console: Console) -> None:
    """A row a document."""
    columns = ["document", "source", "origin", "tokens", "sequence", "epoch"]
    rows = [
        [
            document["id"],
            sequence["source"],
            document["origin"],
            f"{document['start']:,} to {document['start'] + document['tokens'] - 1:,}",
            f"{sequence['sequence']:,}",
            str(sequence["epoch"]),
        ]
        for sequence in found["sequences"]
        for document in sequence["documents"]
    ]
    state = "" if found["is_trained"] else f", skipped: {found['skipped']}" if found["skipped"] else ", not trained yet"
    console.table(f"step {found['step']:,}{state}", columns, rows)


def show_document(found: dict[str, Any], console: Console) -> None:
    """A row a time."""
    columns = ["step", "source", "sequence", "epoch", "tokens", "trained"]
    rows = [
        [
            f"{row['step']:,}",
            row["source"],
            f"{row['sequence']:,}",
            str(row["epoch"]),
            f"{row['tokens']:,}",
            "yes" if row["is_trained"] else "skipped" if row["skipped"] else "not yet",
        ]
        for row in found["occurrences"]
    ]
    console.table(f"document {found['document']}", columns, rows)
    console.say(f"seen {found['trained']:.2f} times so far, {found['planned']:.2f} times by the end of the plan.")
    if found["unused_tokens"]:
        console.say(
            f"{found['unused_tokens']:,} tokens of it are outside of what mixture.unique_tokens leaves of its source: never trained."
        )


def export(found: dict[str, Any], path: Path) -> None:
    """Write what was found as Parquet, a row a document of a step or an occurrence of a document.

    Raises:
        InfrastructureError: it cannot be written.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        parquet.write_table(pyarrow.Table.from_pylist(list(_flat(found))), path)
    except OSError as error:
        raise InfrastructureError(f"cannot write {path}: {error}. Choose another place for --export.") from None


def _flat(found: dict[str, Any]) -> Sequence[dict[str, Any]]:
    if "occurrences" in found:
        return [{"document": found["document"], **row} for row in found["occurrences"]]
    return [
        {"step": found["step"], **{key: sequence[key] for key in ("sequence", "source", "epoch", "position")}, **document}
        for sequence in found["sequences"]
        for document in sequence["documents"]
    ]
