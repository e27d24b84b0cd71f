"""`skipped.jsonl`: the steps whose updates are not made, because their loss or gradient was not finite or leapt.

What is trained follows from the plan and this file: an attempt that comes to these steps again skips them again, and `midtrain replay`
tells the truth (law 1).
"""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines


@dataclass(frozen=True, kw_only=True, slots=True)
class Skip:
    """A stretch of steps, counted from 1, both ends included, and why they train nothing."""

    first_step: int
    last_step: int
    reason: str
    attempt: int


def read_skips(run: RunDirectory) -> list[Skip]:
    """Those of a run, in the order in which they were decided."""
    return [Skip(**_known(line)) for line in read_lines(run.skipped)]


def write_skip(run: RunDirectory, skip: Skip) -> None:
    """Enter a skip, and put it on disk before any rank goes on."""
    descriptor = os.open(run.skipped, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, json.dumps(asdict(skip)).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def skipped_steps(skips: Iterable[Skip]) -> set[int]:
    """The steps that train nothing, counted from 1."""
    return {step for skip in skips for step in range(skip.first_step, skip.last_step + 1)}


def _known(line: dict[str, Any]) -> dict[str, Any]:
    return {name: line[name] for name in Skip.__slots__}
