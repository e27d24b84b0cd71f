"""How the trials of a sweep stand: what their run directories, their jobs and the ledger say together."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from orchestrator.commands.jobs import Standing, job_of, readable_jobs_of
from orchestrator.commands.status import RunStatus, run_status, unreadable
from orchestrator.errors import OrchestratorError
from orchestrator.runs.attempts import read_status
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import version_of
from orchestrator.runs.spans import Span, attempt_spans
from orchestrator.sweep.directory import SweepDirectory, TrialEntry, Verdict, read_trials, read_verdicts
from orchestrator.sweep.stored import Stored

Standings = Mapping[str, "TrialStanding"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialStanding:
    """How a trial stands.

    Attributes:
        entry: which one it is.
        state: as a run's, or `failed` (for good) or `pruned` (stopped early).
        status: of its run.
        reason: why it is not running; none while it is.
        spans: of its attempts, the newest until now while it runs; none where its files cannot be read.
    """

    entry: TrialEntry
    state: str
    status: RunStatus
    reason: str | None
    spans: Sequence[Span]

    @property
    def seconds(self) -> float:
        """That its attempts took, the time between them left out."""
        return sum(span.seconds for span in self.spans)

    @property
    def rank_hours(self) -> float:
        return sum(span.rank_hours for span in self.spans)


def standings_of(sweep: SweepDirectory) -> dict[str, TrialStanding]:
    """Trial -> how it stands, in the order in which they were added."""
    entries, verdicts = read_trials(sweep), read_verdicts(sweep)
    runs = [sweep.run(entry.trial_id) for entry in entries]
    found = {}
    for entry, run, job in zip(entries, runs, readable_jobs_of(runs), strict=True):
        try:
            status, spans = _finished(run, version_of(run.attempts)) or _unfinished(run, job)
        except (OrchestratorError, OSError) as error:
            status, spans = unreadable(run, str(error)), []
        found[entry.trial_id] = _standing(entry, status, verdicts.get(entry.trial_id), spans)
    return found


@lru_cache(maxsize=4096)
def _finished(run: RunDirectory, ledger: tuple[int, int, int]) -> tuple[RunStatus, list[Span]] | None:
    """Of a finished run, which stays as it is; its files are not read at every look."""
    return (run_status(run, job_of(run)), attempt_spans(run, now=None)) if read_status(run).state == "finished" else None


def _unfinished(run: RunDirectory, job: Standing | None) -> tuple[RunStatus, list[Span]]:
    status = run_status(run, job)
    return status, attempt_spans(run, now=time.time() if status.state == "running" else None)


def _standing(entry: TrialEntry, status: RunStatus, verdict: Verdict | None, spans: Sequence[Span]) -> TrialStanding:
    is_given_up = verdict is not None and status.state not in ("finished", "running", "queued", "starting")
    state = verdict.word if verdict and is_given_up else status.state
    reason = verdict.reason if verdict and is_given_up else status.reason
    return TrialStanding(entry=entry, state=state, status=status, reason=reason, spans=spans)


def varied_keys(stored: Stored, entries: Iterable[TrialEntry]) -> list[str]:
    """What is varied, by the newest command first, then by earlier ones."""
    return list(dict.fromkeys([*stored.keys, *(key for entry in entries for key in entry.setting)]))
