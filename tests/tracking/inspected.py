"""The offline files of a run, as W&B's own reader finds them."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.runs.directory import RunDirectory
from orchestrator.tracking.wandb_id import wandb_id


@dataclass(frozen=True, slots=True)
class Inspected:
    """One opening of W&B offline: its records, and what they come to."""

    records: list[dict[str, Any]]
    whole: dict[str, Any]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The content of the records of a kind."""
        return [record[kind] for record in self.records if record["type"] == kind]

    def lines(self) -> list[dict[str, Any]]:
        return [record["item"] for record in self.of("history")]


def openings(run: RunDirectory) -> list[Path]:
    """The files of a run, one an opening, in order."""
    return sorted(run.wandb.glob(f"offline-run-*/run-{wandb_id(run)}.wandb"))


def inspect(file: Path) -> Inspected:
    """An opening."""
    return Inspected([json.loads(line) for line in _read(file).splitlines()], json.loads(_read(file, "--summary")))


def offline_steps(run: RunDirectory) -> list[list[int]]:
    """The steps in each opening."""
    return [[line["_step"] for line in opening.lines()] for opening in map(inspect, openings(run))]


def _read(file: Path, *words: str) -> str:
    wandb = str(Path(sys.executable).with_name("wandb"))
    return subprocess.run([wandb, "leet", "inspect", str(file), "--json", *words], capture_output=True, text=True, check=True).stdout
