"""`midtrain sweep`: trials are designed, their cost is told, and those that are not done are trained."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from orchestrator.commands.console import Console
from orchestrator.commands.sweeping.designing import Design
from orchestrator.commands.sweeping.making import add, make_sweep
from orchestrator.commands.sweeping.running import Board, Runner
from orchestrator.commands.sweeping.showing import show_trials
from orchestrator.config.varied import load_sweep
from orchestrator.errors import ConfigError, InfrastructureError, InterruptedRunError, RunExistsError, TrialsFailedError
from orchestrator.runs.attempts import read_status
from orchestrator.runs.locks import only_holder
from orchestrator.scheduling import asked
from orchestrator.scheduling.sharing import SharedCluster
from orchestrator.sweep.directory import SweepDirectory, TrialEntry, read_verdicts, withdraw_verdict
from orchestrator.sweep.settings import wishes_of


@dataclass(frozen=True, kw_only=True, slots=True)
class How:
    """What becomes of a sweep.

    Attributes:
        dry_run: it is only shown.
        retry_failed: trials that have failed for good are tried again.
    """

    dry_run: bool = False
    retry_failed: bool = False


class Queue:
    """The trials of a grid or a list that are not done."""

    def __init__(self, entries: Sequence[TrialEntry]) -> None:
        self._entries = deque(entries)

    def take(self) -> TrialEntry | None:
        return self._entries.popleft() if self._entries else None

    def done(self, entry: TrialEntry, *, finished: bool) -> None:
        pass

    @property
    def is_empty(self) -> bool:
        return not self._entries


def sweep(overrides: Sequence[str], how: How, console: Console) -> SweepDirectory:
    """Make a sweep and train its trials, or go on with one.

    Raises:
        OrchestratorError: nothing was begun; or some trials have not come to their end, and the message says how to go on.
    """
    design = Design(*load_sweep(overrides))
    trials = design.trials(wishes_of(design.sweep))
    show_trials(trials, design, console)
    if how.dry_run:
        return design.directory
    made = make_sweep(design, overrides)
    with only_holder(made.lock, RunExistsError(f"{made.root} is at work already. Watch it with: midtrain status {made.root}")):
        add(made, trials)
        train_trials(made, [trial.entry for trial in trials], design, how, console)
    return made


def train_trials(made: SweepDirectory, entries: Sequence[TrialEntry], design: Design, how: How, console: Console) -> None:
    """Train what is not done of some trials."""
    open_ones = list(_open(made, entries, how, console))
    if not open_ones:
        console.say(f"{made.root}: nothing is left to train.")
        return
    with _cluster(design, made) as cluster, asked.noting_signals(design.base.scheduling.preemption.signals):
        at_once = _at_once(design, cluster.ranks, len(open_ones))
        console.note(f"{len(open_ones)} of {len(entries)} trials to train, {at_once} side by side; logs in {made.trials}")
        runner = Runner(made, Queue(open_ones), console, cluster=cluster, at_once=at_once)
        total = sum(entry.steps for entry in open_ones)
        with console.progress("sweeping", total, "steps", done=0) as advance:
            runner.to_the_end(lambda board: None, advance)
        _conclude(made, runner.board, console)


def _open(made: SweepDirectory, entries: Sequence[TrialEntry], how: How, console: Console) -> Iterator[TrialEntry]:
    verdicts = read_verdicts(made)
    left = [entry for entry in entries if read_status(made.run(entry.trial_id)).state != "finished"]
    for entry in left:
        verdict = verdicts.get(entry.trial_id)
        if verdict and verdict.word == "failed" and how.retry_failed:
            withdraw_verdict(made, entry.trial_id)
        elif verdict:
            console.note(f"{entry.trial_id} is left alone, as it has {verdict.word} at step {verdict.step}: {verdict.reason}")
            continue
        yield entry


@contextmanager
def _cluster(design: Design, made: SweepDirectory) -> Iterator[SharedCluster]:
    cluster = SharedCluster(gpus_per_rank=design.base.scheduling.gpus_per_rank, log=made.cluster_log)
    cluster.open()
    try:
        yield cluster
    finally:
        cluster.close()


def _at_once(design: Design, ranks: int, num_trials: int) -> int:
    """As many as there is room for, at least one: what it lacks then, its attempt says."""
    world_size = design.base.scheduling.world_size
    room = max(1, ranks // world_size)
    if design.sweep.at_once is not None and design.sweep.at_once > room:
        raise ConfigError(
            f"sweep.at_once={design.sweep.at_once} trials of scheduling.world_size={world_size} need {design.sweep.at_once * world_size} "
            f"ranks, and the cluster has room for {ranks}. Set sweep.at_once to {room} or less, or leave it out."
        )
    return min(design.sweep.at_once or room, num_trials)


def _conclude(made: SweepDirectory, board: Board, console: Console) -> None:
    """Say how it went.

    Raises:
        InterruptedRunError: somebody asked to stop.
        InfrastructureError, OrchestratorError: some trials have not come to their end.
    """
    again = f"Go on with: midtrain resume {made.root}"
    if number := asked.asked_to_stop():
        raise InterruptedRunError(f"stopped by {asked.name(number)}; every trial that ran is saved. {again}")
    if board.stopped:
        name, reason = next(iter(board.stopped.items()))
        raise InfrastructureError(f"{len(board.stopped)} trials have stopped and can go on, the first {name}: {reason} {again}")
    if board.failed:
        name, reason = next(iter(board.failed.items()))
        raise TrialsFailedError(
            f"{len(board.failed)} trials have failed, the first {name}: {reason} The others are done. Mend what is wrong, and try them "
            f"again with: midtrain resume {made.root} --retry-failed"
        )
    console.say(f"{made.root}: all {len(board.finished)} trials are done. See what they show: midtrain report {made.root}")
