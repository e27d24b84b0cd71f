"""What was prepared, and what is to be known of it before it is trained: for scripts, and for people."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from orchestrator.commands.console import Console
from orchestrator.corpus.audit import Finding
from orchestrator.corpus.duplicate_search import DuplicateCount
from orchestrator.shards.manifest import Manifest

_COLUMNS = {
    "source": "name",
    "role": "role",
    "read": "read",
    "documents": "documents",
    "tokens": "tokens",
    "held-out documents": "heldout_documents",
    "held-out tokens": "heldout_tokens",
    "rejected": "rejects",
    "dropped": "dropped",
}


def summarise_prepared(manifests: Sequence[Manifest]) -> dict[str, Any]:
    """What was prepared, as what JSON can hold: `sources`, an entry each."""
    return {"sources": [_summary(manifest) for manifest in manifests]}


def _summary(manifest: Manifest) -> dict[str, Any]:
    counts = {
        "name": manifest.name,
        "role": manifest.role,
        "read": manifest.num_read,
        "documents": manifest.documents("train"),
        "tokens": manifest.tokens("train"),
        "heldout_documents": manifest.documents("heldout"),
        "heldout_tokens": manifest.tokens("heldout"),
        "rejects": manifest.rejects,
        "dropped": manifest.dropped,
    }
    return counts | asdict(manifest.audit) | {"engine": asdict(manifest.engine), "fingerprint": manifest.fingerprint}


def show_prepared(manifests: Sequence[Manifest], console: Console) -> None:
    """A table of the sources, and below it a line for each thing to know."""
    rows = [[_figure(row[key]) for key in _COLUMNS.values()] for row in map(_summary, manifests)]
    console.table("prepared sources", list(_COLUMNS), rows)
    for manifest in manifests:
        for line in [*_duplicates(manifest), *_near_copies(manifest), *_overlaps(manifest)]:
            console.say(line)
    for line in [*_looked_for(manifests), *(_engine(manifest) for manifest in manifests)]:
        console.say(line)


def _duplicates(manifest: Manifest) -> Iterator[str]:
    treatment = "they were left out" if manifest.dropped else "they are kept; corpus.duplicates=remove leaves them out"
    for count in manifest.audit.duplicates:
        yield f"source {manifest.name!r}: {_duplicate(count)}; {treatment}"


def _duplicate(count: DuplicateCount) -> str:
    documents = f"{count.num_documents:,} documents"
    if count.split == "heldout":
        return f"{documents} are held out twice, here and in {count.kept_source!r}"
    if count.kept_split == "heldout":
        return f"{documents} to train on are also held out, in {count.kept_source!r}"
    if count.kept_source == count.source:
        return f"{documents} to train on repeat others of the source"
    return f"{documents} to train on are also in source {count.kept_source!r}"


def _near_copies(manifest: Manifest) -> Iterator[str]:
    for name, found in manifest.audit.near_copies.items():
        yield (
            f"{manifest.role} source {manifest.name!r} holds {_found(found)} that are near copies of documents of {name!r}: the true share "
            f"of spec text is higher than the plan's"
        )


def _overlaps(manifest: Manifest) -> Iterator[str]:
    for name, found in manifest.audit.overlaps.items():
        shown = found.examples[0].match
        yield f"source {manifest.name!r} holds {_found(found)} that overlap the evaluation set {name!r}, as is allowed: {shown!r}"


def _looked_for(manifests: Sequence[Manifest]) -> Iterator[str]:
    for found in manifests[0].audit.evaluation_sets:
        unchecked = f", {found.num_unchecked:,} of them too short to be found" if found.num_unchecked else ""
        yield f"evaluation set {found.name!r}: {found.num_items:,} items were looked for in all documents to train on{unchecked}"


def _engine(manifest: Manifest) -> str:
    return f"source {manifest.name!r} was tokenised by {manifest.engine.name}: {manifest.engine.reason}"


def _found(found: Finding) -> str:
    words = f"{found.num_words / 1000:,.1f} k words" if found.num_words >= 1000 else f"{found.num_words} words"
    return f"{found.num_documents:,} documents ({words}, the first at {found.examples[0].origin})"


def _figure(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
