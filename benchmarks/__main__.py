"""`make bench-data`: install the peers, measure all, write `.bench/results.json` and the tables in `docs/benchmarks.md`.

A run of some peers or parts, or a quick one, writes `.bench/partial/` instead.
"""

import argparse
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import machine, tables
from benchmarks.data import write_tokens
from benchmarks.installation import python_of
from benchmarks.measures import alone, loading, preparing
from benchmarks.measures.bench import Bench, tell
from benchmarks.processes import ROOT
from benchmarks.registry import PEERS, TOKENISERS, Entry
from benchmarks.settings import FULL, QUICK, SEED

PARTS = ("throughput", "feed", "resume", "ratio", "ranks", "preparing", "scale", "memory")


def main() -> None:
    """Parse, prepare, measure, write."""
    arguments = _arguments()
    settings = QUICK if arguments.quick else FULL
    peers = [entry for entry in PEERS if not arguments.only or entry.key in arguments.only]
    tokenisers = [entry for entry in TOKENISERS if not arguments.only or entry.key in arguments.only]
    pythons, failures = _install({*peers, *tokenisers}, arguments.work / "venvs", arguments.torch_index)
    data = write_tokens(arguments.work / "data", settings.sizes, SEED)
    bench = Bench(work=arguments.work, data=data, settings=settings, pythons=pythons)
    folder = arguments.work if _is_whole(arguments) else arguments.work / "partial"
    results: dict[str, Any] = {"machine": machine.facts(), "settings": settings.as_json(), "not installed": failures}
    here = [entry for entry in peers if entry.environment in pythons]
    results["peers"] = loading.describe(bench, here)
    ready = [entry for entry in here if "error" not in results["peers"][entry.key]]
    for part in [part for part in PARTS if part in arguments.parts]:
        results[part] = _measures(bench, ready, [entry for entry in tokenisers if entry.environment in pythons], arguments.text)[part]()
        _keep(results, folder)
    if _is_whole(arguments):
        document = ROOT / "docs" / "benchmarks.md"
        document.write_text(tables.between_markers(document.read_text(), tables.render(results)))
    tell(f"results: {folder}/results.json and tables.md")
    shutil.rmtree(arguments.work / "tmp", ignore_errors=True)


def _measures(bench: Bench, peers: list[Entry], tokenisers: list[Entry], text: Path | None) -> Mapping[str, Callable[[], Any]]:
    ours = any(entry.key == "ours" for entry in peers)
    return {
        "throughput": lambda: loading.throughput(bench, peers),
        "feed": lambda: alone.ray_feed(bench) if ours else {},
        "resume": lambda: loading.resume(bench, peers),
        "ratio": lambda: loading.ratio(bench, peers),
        "ranks": lambda: loading.ranks(bench, peers),
        "preparing": lambda: preparing.measure(bench, tokenisers, text),
        "scale": lambda: alone.scale(bench) if ours else {},
        "memory": lambda: alone.memory(bench) if ours else {},
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-data", description=__doc__)
    parser.add_argument("--only", type=_names, default=[], help="peers, by their keys in benchmarks/registry.py, comma-separated")
    parser.add_argument("--parts", type=_names, default=PARTS, help=f"of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="small data and two repetitions, for development")
    parser.add_argument(
        "--text", type=Path, help="a folder of JSONL with a field text, to tokenise first; the rest is found on the machine"
    )
    parser.add_argument("--torch-index", default=None, help="an index of CPU builds of torch")
    parser.add_argument("--work", type=Path, default=ROOT / ".bench", help="where everything is kept")
    arguments = parser.parse_args()
    known = {entry.key for entry in (*PEERS, *TOKENISERS)}
    for given, among, name in ((arguments.only, known, "--only"), (arguments.parts, set(PARTS), "--parts")):
        if unknown := set(given) - among:
            parser.error(f"{name}: no {', '.join(sorted(unknown))}; there are {', '.join(sorted(among))}")
    return arguments


def _names(given: str) -> list[str]:
    return [name for name in given.split(",") if name]


def _install(entries: set[Entry], root: Path, torch_index: str | None) -> tuple[dict[str, Path], dict[str, str]]:
    """The interpreter of each environment, and why there is none."""
    pythons, failures = {}, {}
    for environment in sorted({entry.environment for entry in entries} | {"own"}):
        try:
            pythons[environment] = python_of(environment, root, torch_index)
        except (RuntimeError, OSError) as error:
            failures[environment] = str(error)
            tell(f"{environment} is not installed: {error}")
    return pythons, failures


def _is_whole(arguments: argparse.Namespace) -> bool:
    """Whether it measures all there is, so that its tables may stand in the document."""
    return not (arguments.quick or arguments.only or set(PARTS) - set(arguments.parts))


def _keep(results: dict[str, Any], folder: Path) -> None:
    """After every part, so that a run that is stopped has left what it found."""
    folder.mkdir(parents=True, exist_ok=True)
    results["machine"]["load after"] = " ".join(f"{load:.2f}" for load in os.getloadavg())
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "tables.md").write_text(tables.render(results))


if __name__ == "__main__":
    main()
