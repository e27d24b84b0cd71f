"""How the trials of a sweep stand: what their run directories, their jobs and the ledger say together."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from orchestrator.commands.jobs import job_of, readable_jobs_of
from orchestrator.commands.status import RunStatus, run_status, unreadable
from orchestrator.errors import OrchestratorError
from orchestrator.runs.attempts import read_status
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines, version_of
from orchestrator.sweep.directory import SweepDirectory, TrialEntry, Verdict, read_trials, read_verdicts

Standings = Mapping[str, "TrialStanding"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialStanding:
    """How a trial stands.

    Attributes:
        entry: which one it is.
        state: as a run's, or `failed` (for good) or `pruned` (stopped early).
        status: of its run.
        reason: why it is not running; none while it is.
        world_size: ranks of its newest attempt; 0 before the first.
    """

    entry: TrialEntry
    state: str
    status: RunStatus
    reason: str | None
    world_size: int

    @property
    def seconds(self) -> float:
        """That its attempts took, the time between them left out."""
        return sum(seconds for name, seconds in self.status.seconds.items() if name != "down")

    @property
    def rank_hours(self) -> float:
        return self.seconds * self.world_size / 3600


def standings_of(sweep: SweepDirectory) -> dict[str, TrialStanding]:
    """Trial -> how it stands, in the order in which they were added."""
    entries, verdicts = read_trials(sweep), read_verdicts(sweep)
    runs = [sweep.run(entry.trial_id) for entry in entries]
    found = {}
    for entry, run, job in zip(entries, runs, readable_jobs_of(runs), strict=True):
        try:
            status = _finished(run, version_of(run.attempts)) or run_status(run, job)
        except (OrchestratorError, OSError) as error:
            status = unreadable(run, str(error))
        found[entry.trial_id] = _standing(entry, status, verdicts.get(entry.trial_id), _world_size(sweep, entry))
    return found


@lru_cache(maxsize=4096)
def _finished(run: RunDirectory, ledger: tuple[int, int, int]) -> RunStatus | None:
    """Of a finished run, which stays as it is; its files are not read at every look."""
    return run_status(run, job_of(run)) if read_status(run).state == "finished" else None


def _standing(entry: TrialEntry, status: RunStatus, verdict: Verdict | None, world_size: int) -> TrialStanding:
    is_given_up = verdict is not None and status.state not in ("finished", "running", "queued", "starting")
    state = verdict.word if verdict and is_given_up else status.state
    reason = verdict.reason if verdict and is_given_up else status.reason
    return TrialStanding(entry=entry, state=state, status=status, reason=reason, world_size=world_size)


def _world_size(sweep: SweepDirectory, entry: TrialEntry) -> int:
    lines = read_lines(sweep.run(entry.trial_id).attempts)
    return max((int(line["world_size"]) for line in lines if "world_size" in line), default=0)
