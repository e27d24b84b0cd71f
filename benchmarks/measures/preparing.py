"""Megabytes of text a second into tokens, tool by tool."""

import random
from pathlib import Path
from typing import Any

from benchmarks.measures.bench import Bench, attempt, failed, tell
from benchmarks.preparing.text import bytes_of, separator, write_text, write_tokenizer, write_unconvertible
from benchmarks.processes import ROOT
from benchmarks.registry import Entry

CORES = (1, 2)
_TIMEOUT = 300.0
_GIVEN_MODEL = ROOT / "data" / "demo" / "base_model"


def measure(bench: Bench, entries: list[Entry], given_text: Path | None) -> list[dict[str, Any]]:
    """Every tool on the usual text, some on a large one, and some with a tokenizer that tiktoken has no equal of; see `_measure`."""
    folder, settings = bench.work / "text", bench.settings
    usual, large = folder / str(settings.text_bytes), folder / str(settings.large_text_bytes)
    write_text(usual, given_text, settings.text_bytes)
    write_text(large, given_text, settings.large_text_bytes)
    write_tokenizer(folder / "model", _GIVEN_MODEL, usual)
    write_unconvertible(folder / "unconvertible", folder / "model")
    works = {
        "preparing": (usual, folder / "model", ""),
        "preparing large": (large, folder / "model", ""),
        "preparing unconvertible": (usual, folder / "unconvertible", ", a tokenizer without a faster equal"),
    }
    return [
        {"said": said} | _measure(bench, [entry for entry in entries if name in entry.measures], text, model)
        for name, (text, model, said) in works.items()
    ]


def _measure(bench: Bench, entries: list[Entry], text: Path, model: Path) -> dict[str, Any]:
    """Every tool on one core and on two, in turn, each time in a fresh process.

    Returns:
        {"text_bytes", "tools": {key: {"1": {"seconds": one a repetition, "tokens"}, "2": …} or failures}}
    """
    text_bytes, (token, token_id) = bytes_of(text), separator(model)
    common = {"text": str(text), "model": str(model), "separator": token, "separator_id": token_id}
    tools: dict[str, dict[str, Any]] = {entry.key: {} for entry in entries}
    turns = [(entry, cores) for entry in entries for cores in CORES]
    for repetition in range(bench.settings.text_repetitions):
        tell(f"preparing {text_bytes / 1e6:.0f} MB, {repetition + 1} of {bench.settings.text_repetitions}")
        for entry, cores in random.Random(repetition).sample(turns, len(turns)):
            cell = tools[entry.key].setdefault(str(cores), {"seconds": [], "tokens": []})
            if not failed(cell):
                request = common | {"cores": cores, "out": str(bench.work / "tmp" / f"tokens_{entry.key}")}
                once = attempt(lambda entry=entry, request=request: _once(bench, entry, request))
                _add(tools[entry.key], str(cores), once)
    return {"text_bytes": text_bytes, "tools": tools}


def _once(bench: Bench, entry: Entry, request: dict[str, Any]) -> Any:
    threads = request["cores"] if entry.key == "encode_batch" else 1  # the others work in as many processes
    variables = {"RAYON_NUM_THREADS": str(threads)}
    with bench.start(f"benchmarks.preparing.{entry.key}", entry.environment, variables) as process:
        return process.ask("tokenise", timeout_seconds=_TIMEOUT, **request)


def _add(cells: dict[str, Any], cores: str, once: Any) -> None:
    if failed(once):
        cells[cores] = once
    else:
        cells[cores]["seconds"].append(once["seconds"])
        cells[cores]["tokens"].append(once["tokens"])
