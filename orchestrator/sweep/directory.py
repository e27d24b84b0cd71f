"""Where the files of a sweep are, and its ledger: a line for each trial that was added, was stopped early or has failed for good.

How a trial stands is in its own run directory; the ledger says what no run can know.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import append_line, read_lines
from orchestrator.sweep.settings import Setting


@dataclass(frozen=True, slots=True)
class SweepDirectory:
    """The paths of one sweep."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "sweep.yaml"

    @property
    def ledger(self) -> Path:
        return self.root / "trials.jsonl"

    @property
    def trials(self) -> Path:
        return self.root / "trials"

    @property
    def study(self) -> Path:
        return self.root / "study.journal"

    @property
    def lock(self) -> Path:
        return self.root / ".lock"

    @property
    def stop_request(self) -> Path:
        return self.root / ".stop"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def cluster_log(self) -> Path:
        return self.root / "cluster.log"

    def run(self, trial_id: str) -> RunDirectory:
        """The run directory of a trial."""
        return RunDirectory(self.trials / trial_id)

    @property
    def exists(self) -> bool:
        return self.config.exists()


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialEntry:
    """A trial, as the ledger has it.

    Attributes:
        trial_id, arm, setting, seed: which one it is.
        spec_share, spec_tokens, spec_epochs, unique_spec_tokens, total_tokens, steps: as planned.
    """

    trial_id: str
    arm: str
    setting: Setting
    seed: int
    spec_share: float
    spec_tokens: int
    spec_epochs: float
    unique_spec_tokens: int
    total_tokens: int
    steps: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Why a trial is not gone on with.

    Attributes:
        word: `pruned` or `failed`.
        step: the last one that it made.
        reason: in words.
    """

    word: str
    step: int
    reason: str


def add_trials(sweep: SweepDirectory, entries: Sequence[TrialEntry]) -> None:
    """Enter trials."""
    for entry in entries:
        _append(sweep, {"event": "added", **asdict(entry), "setting": dict(entry.setting)})


def enter_verdict(sweep: SweepDirectory, trial_id: str, verdict: Verdict) -> None:
    """Enter why a trial is not gone on with."""
    _append(sweep, {"event": "verdict", "trial_id": trial_id, **asdict(verdict)})


def withdraw_verdict(sweep: SweepDirectory, trial_id: str) -> None:
    """Enter that a trial is gone on with after all."""
    _append(sweep, {"event": "withdrawn", "trial_id": trial_id})


def enter_command(sweep: SweepDirectory, words: Sequence[str]) -> None:
    """Enter the command that made or went on with the sweep."""
    _append(sweep, {"event": "command", "words": list(words)})


def read_trials(sweep: SweepDirectory) -> list[TrialEntry]:
    """The trials in the order in which they were added."""
    names = TrialEntry.__dataclass_fields__
    return [TrialEntry(**{name: line[name] for name in names}) for line in _events(sweep, "added")]


def read_verdicts(sweep: SweepDirectory) -> dict[str, Verdict]:
    """Trial -> the verdict that holds."""
    verdicts: dict[str, Verdict] = {}
    for line in read_lines(sweep.ledger):
        if line["event"] == "verdict":
            verdicts[line["trial_id"]] = Verdict(word=line["word"], step=line["step"], reason=line["reason"])
        elif line["event"] == "withdrawn":
            verdicts.pop(line["trial_id"], None)
    return verdicts


def newest_command(sweep: SweepDirectory) -> list[str]:
    """The words of the newest command; empty when there was none."""
    return next((list(line["words"]) for line in reversed(list(_events(sweep, "command")))), [])


def _events(sweep: SweepDirectory, event: str) -> Iterator[dict[str, Any]]:
    return (line for line in read_lines(sweep.ledger) if line["event"] == event)


def _append(sweep: SweepDirectory, entry: dict[str, Any]) -> None:
    stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    append_line(sweep.ledger, {"time": stamp, **entry})
