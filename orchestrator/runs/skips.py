"""`skipped.jsonl`: the steps whose updates are not made, because their loss or gradient was not finite or leapt.

What is trained follows from the plan and this file: an attempt that comes to these steps again skips them again, and `midtrain replay`
tells the truth (law 1).
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import append_line, read_lines


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
    append_line(run.skipped, asdict(skip))


def skipped_steps(skips: Iterable[Skip]) -> set[int]:
    """The steps that train nothing, counted from 1."""
    return {step for skip in skips for step in range(skip.first_step, skip.last_step + 1)}


def _known(line: dict[str, Any]) -> dict[str, Any]:
    return {name: line[name] for name in Skip.__slots__}
