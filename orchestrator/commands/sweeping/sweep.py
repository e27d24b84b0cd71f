"""`midtrain sweep`: trials are designed, their cost is told, and those that are not done are trained."""

from collections.abc import Iterator, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from orchestrator.commands.console import Console
from orchestrator.commands.jobs import Standing, jobs_of
from orchestrator.commands.sweeping.costing import show_cost
from orchestrator.commands.sweeping.designing import Design, Trial
from orchestrator.commands.sweeping.making import add, only_command, refuse_other, write_sweep
from orchestrator.commands.sweeping.pools import Proposals, Queue, Works
from orchestrator.commands.sweeping.pruning import Pruning, measured_so_far
from orchestrator.commands.sweeping.running import Board, Pool, Runner
from orchestrator.commands.sweeping.showing import show_trials
from orchestrator.config.varied import load_sweep
from orchestrator.errors import ConfigError, DataError, InfrastructureError, InterruptedRunError, TrialsFailedError
from orchestrator.runs.attempts import read_status
from orchestrator.scheduling import asked
from orchestrator.scheduling.sharing import SharedCluster
from orchestrator.sweep.directory import SweepDirectory, TrialEntry, read_trials, read_verdicts, withdraw_verdict
from orchestrator.sweep.sampler import Sampler
from orchestrator.sweep.settings import SPEC, Setting, TrialWish, middle, wishes_of
from orchestrator.sweep.stored import Stored, read_stored


@dataclass(frozen=True, kw_only=True, slots=True)
class How:
    """What becomes of a sweep.

    Attributes:
        dry_run: it is only shown.
        retry_failed: trials that have failed for good are tried again.
    """

    dry_run: bool = False
    retry_failed: bool = False


def sweep(overrides: Sequence[str], how: How, console: Console) -> SweepDirectory:
    """Make a sweep and train its trials, or go on with one.

    Raises:
        OrchestratorError: nothing was begun; or some trials have not come to their end, and the message says how to go on.
    """
    values, settings, fixed = load_sweep(overrides)
    design = Design(Stored(values=values, sweep=settings, overrides=fixed))
    if design.directory.exists:
        refuse_other(design.directory, design)
    trials = planned(design)
    show_trials(trials, design, console)
    if left := [trial for trial in trials if _is_left(design.directory, trial.entry)]:
        show_cost(trials, left, design, console)
    if how.dry_run:
        return design.directory
    made = design.directory
    with only_command(made):
        if design.sweep.sampler and made.study.exists():
            Sampler(made.study, design.sweep.vary, design.sweep.sampler)  # refuses other values, before anything is written
        write_sweep(made, design, overrides)
        if design.sweep.sampler is None:
            add(made, trials)
        _train(made, [] if design.sweep.sampler else [trial.entry for trial in trials], design, how, console)
    return made


def resume_sweep(made: SweepDirectory, how: How, console: Console) -> None:
    """Go on with all trials of a sweep that are not done, those included that a killed command has not entered. Raises as `sweep`."""
    stored = read_stored(made)
    design = Design(replace(stored, sweep=replace(stored.sweep, dir=str(made.root.absolute()))))  # wherever this command is called
    trials = [] if design.sweep.sampler else planned(design)
    with only_command(made):
        add(made, trials)
        _train(made, read_trials(made), design, how, console)


def planned(design: Design) -> list[Trial]:
    """All trials of a grid or a list; of a sampler, as many as it will propose, all in the middle of its intervals."""
    sampler = design.sweep.sampler
    if sampler is None:
        return design.trials(wishes_of(design.sweep))
    one = design.trials([TrialWish(arm=SPEC, setting=middle(design.sweep), seed=seed) for seed in design.sweep.seeds])
    return [trial for trial in one if trial.entry.arm == SPEC] * sampler.settings + [trial for trial in one if trial.entry.arm != SPEC]


def _train(made: SweepDirectory, entries: Sequence[TrialEntry], design: Design, how: How, console: Console) -> None:
    left = list(_to_train(made, entries, design, how, console))
    pool = _pool(made, left, design, console)
    if pool.is_empty:
        console.say(f"{made.root}: nothing is left to train.")
        return
    pruning = design.sweep.early_stopping and Pruning(made, design.sweep.early_stopping, design.stored.roles, console.note)
    steps = sum(entry.steps for entry in left) or sum(trial.entry.steps for trial in planned(design))
    with asked.noting_signals(design.base.scheduling.preemption.signals), _cluster(design, made) as cluster:
        at_once = _at_once(design, cluster.ranks)
        at_once = min(at_once, len(left)) if isinstance(pool, Queue) else at_once
        console.note(f"training {at_once} trial{'s' * (at_once > 1)} side by side; they are in {made.trials}")
        runner = Runner(made, pool, console, cluster=cluster, at_once=at_once)
        with console.progress("sweeping", steps, "steps") as advance:
            runner.to_the_end(pruning.look if pruning else lambda board: None, advance)
        _conclude(made, runner.board, console)


def _to_train(made: SweepDirectory, entries: Sequence[TrialEntry], design: Design, how: How, console: Console) -> Iterator[TrialEntry]:
    """What is not finished, and is not given up, or is to be tried again all the same."""
    verdicts, jobs = read_verdicts(made), jobs_of([made.run(entry.trial_id) for entry in entries])
    for entry, job in zip(entries, jobs, strict=True):
        verdict = verdicts.get(entry.trial_id)
        if _is_finished(made, entry) or (job and _is_at_work(entry, job, console)):
            continue
        if verdict and (how.retry_failed if verdict.word == "failed" else design.sweep.early_stopping is None):
            withdraw_verdict(made, entry.trial_id)
        elif verdict:
            console.note(f"{entry.trial_id} is left alone, as it was {verdict.word} at step {verdict.step:,}: {verdict.reason}")
            continue
        yield entry


def _is_at_work(entry: TrialEntry, job: Standing, console: Console) -> bool:
    """Whether a job has a trial.

    Raises:
        InfrastructureError: nobody can tell.
    """
    submission, state = job
    where = f"{entry.trial_id} is job {submission.job or '?'} on {submission.platform}"
    if state.phase == "unknown":
        raise InfrastructureError(f"{where}, and whether that lives is not known: {state.why}")
    if state.is_alive:
        console.note(f"{where}, {state.word}, and is left to it. `midtrain stop` with its directory takes it from there.")
    return state.is_alive


def _pool(made: SweepDirectory, left: Sequence[TrialEntry], design: Design, console: Console) -> Pool:
    if design.sweep.sampler is None:
        return Queue(left)
    sampler = Sampler(made.study, design.sweep.vary, design.sweep.sampler)
    works = Works(
        make=partial(_make, made, design),
        is_left=partial(_is_left, made),
        measure=partial(_measured, made, design),
        say=console.note,
    )
    return Proposals(sampler, left, works)


def _make(made: SweepDirectory, design: Design, setting: Setting) -> list[TrialEntry]:
    trials = design.trials([TrialWish(arm=SPEC, setting=setting, seed=seed) for seed in design.sweep.seeds])
    add(made, trials)
    return [trial.entry for trial in trials]


def _measured(made: SweepDirectory, design: Design, entry: TrialEntry) -> tuple[float, float] | None:
    """Uptake and forgetting at its last evaluation; none of a trial that has failed, which had farther to go than
    it came, or whose file is damaged."""
    verdict = read_verdicts(made).get(entry.trial_id)
    if verdict and verdict.word == "failed":
        return None
    try:
        found = measured_so_far(made.run(entry.trial_id), entry, design.stored.roles)
    except DataError:
        return None
    return (found.uptake[-1], found.forgetting[-1]) if found.shares else None


def _is_finished(made: SweepDirectory, entry: TrialEntry) -> bool:
    return read_status(made.run(entry.trial_id)).state == "finished"


def _is_left(made: SweepDirectory, entry: TrialEntry) -> bool:
    return not _is_finished(made, entry) and entry.trial_id not in read_verdicts(made)


@contextmanager
def _cluster(design: Design, made: SweepDirectory) -> Iterator[SharedCluster]:
    cluster = SharedCluster(gpus_per_rank=design.base.scheduling.gpus_per_rank, log=made.cluster_log)
    cluster.open()
    try:
        yield cluster
    finally:
        cluster.close()


def _at_once(design: Design, ranks: int) -> int:
    """As many as there is room for, at least one: what it lacks then, its attempt says."""
    world_size, wished = design.base.scheduling.world_size, design.sweep.at_once
    room = max(1, ranks // world_size)
    if wished is not None and wished > room:
        raise ConfigError(
            f"sweep.at_once={wished} trials of scheduling.world_size={world_size} need {wished * world_size} ranks, and the cluster has "
            f"room for {ranks}. Set sweep.at_once to {room} or less, or leave it out."
        )
    return wished or room


def _conclude(made: SweepDirectory, board: Board, console: Console) -> None:
    """Say how it went.

    Raises:
        InterruptedRunError: somebody asked to stop.
        InfrastructureError, TrialsFailedError: some trials have not come to their end.
    """
    again = f"Go on with: midtrain resume {made.root}"
    if number := asked.asked_to_stop():
        raise InterruptedRunError(f"stopped by {asked.name(number)}; every trial that ran is saved. {again}")
    if board.stopped:
        name, reason = next(iter(board.stopped.items()))
        raise InfrastructureError(f"{_counted(board.stopped)} stopped and can go on, the first {name}: {reason} {again}")
    if board.failed:
        name, reason = next(iter(board.failed.items()))
        raise TrialsFailedError(
            f"{_counted(board.failed)} failed, the first {name}: {reason} The others are done. Mend what is wrong, and try them "
            f"again with: midtrain resume {made.root} --retry-failed"
        )
    pruned = f", {len(board.pruned)} of them stopped early" if board.pruned else ""
    ended = len(board.finished) + len(board.pruned)
    console.say(f"{made.root}: {ended} trials are done{pruned}. See what they show: midtrain report {made.root}")


def _counted(trials: Sized) -> str:
    return f"{len(trials)} trial{'s have' if len(trials) != 1 else ' has'}"
