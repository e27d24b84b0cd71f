"""`make bench-train`: the training step beside its peers', into `.bench/training.json` and the tables in `docs/benchmarks-training.md`.

A run of some parts, or a quick one, writes `.bench/partial/` instead.
"""

import argparse
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.measures.bench import attempt, tell
from benchmarks.processes import ROOT
from benchmarks.training import measures, tables
from benchmarks.training.sizes import LARGE, SIZES, SMALL

VARIANTS: dict[str, dict[str, Any]] = {
    "the model's own loss, usual memory": {"head": False, "micro_batch": 2, "usual_memory": True},
    "the model's own loss": {"head": False, "micro_batch": 2},
    "our loss head": {"head": True, "micro_batch": 2},
    "our loss head, 8 sequences": {"head": True, "micro_batch": 8},
    "our loss head, compiled layers": {"head": True, "micro_batch": 2, "compiles": True},
}
PARTS = (SMALL.key, LARGE.key, "step", "saves")


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(prog="make bench-train", description=__doc__)
    parser.add_argument("--parts", type=lambda given: given.split(","), default=PARTS, help=f"of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="two turns of two steps, for development")
    parser.add_argument("--work", type=Path, default=ROOT / ".bench", help="where everything is kept")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"--parts: no {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    whole = not arguments.quick and set(arguments.parts) == set(PARTS)
    folder = arguments.work if whole else arguments.work / "partial"
    folder.mkdir(parents=True, exist_ok=True)
    turns, steps = (2, 2) if arguments.quick else (5, 3)
    results: dict[str, Any] = {"machine": machine.facts()}
    for part in arguments.parts:
        if part == "step":
            results[f"{LARGE.key} step"] = measures.composition(LARGE, arguments.work, VARIANTS, turns=turns, steps=steps)
        elif part == "saves":
            results[f"{LARGE.key} saves"] = attempt(lambda: measures.saves(LARGE, arguments.work, turns=turns, steps=steps))
        else:
            size = next(size for size in SIZES if size.key == part)
            size = dataclasses.replace(size, turns=turns, steps=steps) if arguments.quick else size
            results[part] = measures.peers(size, arguments.work)
        results["machine"]["load after"] = " ".join(f"{load:.2f}" for load in os.getloadavg())
        (folder / "training.json").write_text(json.dumps(results, indent=1) + "\n")
        (folder / "training.md").write_text(tables.render(results))
    if whole:
        document = ROOT / "docs" / "benchmarks-training.md"
        document.write_text(tables.between_markers(document.read_text(), tables.render(results)))
    tell(f"results: {folder}/training.json and training.md")


if __name__ == "__main__":
    main()
