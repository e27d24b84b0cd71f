"""`midtrain inspect`: what prepared shards hold."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orchestrator.commands.console import Console
from orchestrator.errors import ShardError
from orchestrator.shards.inspection import decode_some, measure_lengths
from orchestrator.shards.manifest import read_manifest

_BAR = 40
_EXCERPT = 300


def inspect(shards: Path, *, num_documents: int) -> list[dict[str, Any]]:
    """Look into a prepared source, or into all below a directory.

    Returns:
        For each source and split that has documents: name, role, split, lengths, and some documents decoded.

    Raises:
        ShardError: there is no prepared source, or one is damaged.
    """
    directories = [shards] if (shards / "manifest.json").exists() else sorted(path.parent for path in shards.glob("*/manifest.json"))
    if not directories:
        raise ShardError(f"{shards} holds no manifest.json, nor does a directory in it. Give shards.dir or one of its sources.")
    return [entry for directory in directories for entry in _inspect_source(directory, num_documents)]


def _inspect_source(directory: Path, num_documents: int) -> Iterator[dict[str, Any]]:
    manifest = read_manifest(directory, directory.name)
    for split in ("train", "heldout"):
        if manifest.shards(split):
            yield {
                "name": manifest.name,
                "role": manifest.role,
                "split": split,
                "fingerprint": manifest.fingerprint,
                "lengths": asdict(measure_lengths(directory, manifest.shards(split))),
                "documents": [asdict(document) for document in decode_some(directory, manifest, split, num_documents)],
            }


def show_inspection(entries: list[dict[str, Any]], console: Console) -> None:
    """Statistics as a table, then lengths and documents of each source."""
    columns = ["source", "role", "split", "documents", "tokens", "mean", "median", "95 %", "longest"]
    rows = [[entry["name"], entry["role"], entry["split"], *_figures(entry["lengths"])] for entry in entries]
    console.table("prepared sources, document lengths in tokens", columns, rows)
    for entry in entries:
        console.say(f"\n{entry['name']}, {entry['split']}: documents by length in tokens")
        for line in _bars(entry["lengths"]["histogram"]):
            console.say(line)
        for document in entry["documents"]:
            console.say(f"\n{document['id']}  {document['origin']}  {document['tokens']:,} tokens")
            console.say(_excerpt(document["text"]))


def _figures(lengths: dict[str, Any]) -> list[str]:
    means = [f"{lengths[key]:,.0f}" for key in ("mean", "median", "percentile_95")]
    return [f"{lengths['documents']:,}", f"{lengths['tokens']:,}", *means, f"{lengths['longest']:,}"]


def _bars(histogram: list[tuple[int, int, int]]) -> Iterator[str]:
    most = max(count for _, _, count in histogram)
    for low, high, count in histogram:
        bar = "█" * max(1, round(_BAR * count / most)) if count else ""
        yield f"{f'{low:,} to {high - 1:,}':>24}  {bar:<{_BAR}}  {count:,}"


def _excerpt(text: str) -> str:
    """The beginning and the end of a text, with what a terminal would obey made visible."""
    shown = text if len(text) <= 2 * _EXCERPT else f"{text[:_EXCERPT]} … {text[-_EXCERPT:]}"
    return "".join(character if character.isprintable() or character == "\n" else "·" for character in shown)
