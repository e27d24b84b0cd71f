"""`midtrain train` and `midtrain resume`."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.checkpoints.choosing import refuse_fresh_start
from orchestrator.checkpoints.fitting import check_fits
from orchestrator.checkpoints.store import Checkpoint, DamagedError, committed_directories, is_committed, open_checkpoint, step_directory
from orchestrator.commands.console import Console
from orchestrator.commands.fetching import fetch_lost
from orchestrator.commands.planning import check_planned, plan_run
from orchestrator.commands.probes import warn_of_cuts
from orchestrator.config.load import config_values, dump_config, read_config
from orchestrator.config.schema import Config
from orchestrator.errors import CheckpointError, ConfigError
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.plan_file import read_plan, write_plan
from orchestrator.runs.attempts import JOB, only_attempt, read_status
from orchestrator.runs.directory import RunDirectory, create_run
from orchestrator.runs.lines import read_lines
from orchestrator.runs.stop_request import withdraw_stop
from orchestrator.second_home.uploading import uploading
from orchestrator.tracking.mirroring import mirroring

if TYPE_CHECKING:  # it is slow to import, and `resume` of a finished run needs none of it
    from orchestrator.scheduling.attempt import AttemptJob, Outcome
    from orchestrator.scheduling.sharing import SharedCluster

_LOOK_EVERY_SECONDS = 0.5


def train(config: Config, console: Console, until_step: int | None = None) -> RunDirectory:
    """Make a run and train it to its end, or to a step before.

    Returns:
        Its directory.

    Raises:
        OrchestratorError: nothing was begun, or the run stopped; its ledger says why.
    """
    plan = plan_run(config)
    warn_of_cuts(config, console)
    assert config.run.dir is not None
    if config.model.start_from is not None:
        _check_start(Path(config.model.start_from))
    run = create_run(Path(config.run.dir), config=dump_config(config), write_plan=lambda path: write_plan(plan, path))
    with only_attempt(run):
        _supervise(run, config, plan, console, until_step=until_step)
    return run


def resume(run: RunDirectory, console: Console, until_step: int | None = None, cluster: "SharedCluster | None" = None) -> None:
    """Go on with a run from its newest checkpoint, to its end or to a step before.

    Args:
        run: its directory.
        console: told what is done.
        until_step: where to stop; none: at the end.
        cluster: that it shares with others; none: the one that RAY_ADDRESS names, or one of its own.

    Raises:
        OrchestratorError: there is nothing to go on from, or the run stopped again.
    """
    config = read_config(run.config)
    plan = read_plan(run.plan)
    if read_status(run).state == "finished" and is_committed(step_directory(run.checkpoints, plan.steps)):
        console.say(f"{run.root} is finished: all {plan.steps} steps are done. Nothing was changed.")
        return
    with only_attempt(run):
        check_planned(run, config, plan)
        newest = _newest_checkpoint(run, plan, config, console)  # what cannot be resumed is refused before anything is written
        if JOB not in os.environ:  # a person wants it to go on; who launched the job has said so before
            withdraw_stop(run)
        if newest and until_step is not None and until_step <= newest.step:
            raise ConfigError(f"--until-step {until_step}: {run.root} has a checkpoint of step {newest.step} already. Give a later step.")
        _supervise(run, config, plan, console, until_step=until_step, cluster=cluster)


def _check_start(directory: Path) -> None:
    """Make sure that there is a checkpoint to start from; the ranks look at its bytes."""
    if not is_committed(directory):
        raise ConfigError(f"model.start_from={directory} is not a checkpoint: it has no COMMIT. Give RUN/checkpoints/step_… of a run.")
    open_checkpoint(directory)


def _supervise(
    run: RunDirectory, config: Config, plan: Plan, console: Console, *, until_step: int | None, cluster: "SharedCluster | None" = None
) -> None:
    from orchestrator.scheduling.driving import drive_in_process
    from orchestrator.scheduling.supervision import Supervision

    grace = config.scheduling.preemption.grace_seconds

    def choose() -> Checkpoint | None:
        return _newest_checkpoint(run, plan, config, console)

    def attempt(job: "AttemptJob", log: Path) -> "Outcome":
        began = f"resuming {run.root} from step {job.from_step}" if read_status(run).attempts > 1 else f"starting {run.root}"
        ranks = f"{'up to ' if config.scheduling.min_world_size else ''}{config.scheduling.world_size} ranks"
        console.note(f"{began} with {ranks}; logs in {log.parent}")
        with (
            console.progress("training", until_step or plan.steps, "steps", done=job.from_step) as advance,
            _watching(run, job.from_step, advance, console.note),
        ):
            return drive_in_process(job, log, grace_seconds=grace, start_seconds=config.scheduling.deadlines.start, cluster=cluster)

    second_home = uploading(run, config.checkpoints, console.warn, preempted_seconds=grace / 10)
    with mirroring(run, config.tracking, console.warn), second_home:
        Supervision(run, config.scheduling, choose=choose, attempt=attempt, say=console.note, until_step=until_step).to_the_end()


def _newest_checkpoint(run: RunDirectory, plan: Plan, config: Config, console: Console) -> Checkpoint | None:
    """The checkpoint to expect. Its files are not read here: the ranks share that."""
    for directory in reversed(committed_directories(run.checkpoints)):
        try:
            checkpoint = open_checkpoint(directory)
        except DamagedError:
            continue  # the ranks set it aside
        check_fits(checkpoint, plan, config_values(config))
        return checkpoint
    try:
        refuse_fresh_start(run)
        return None
    except CheckpointError as refusal:
        checkpoint = fetch_lost(run, config.checkpoints, console, refusal)
        check_fits(checkpoint, plan, config_values(config))
        return checkpoint


@contextmanager
def _watching(run: RunDirectory, from_step: int, advance: Any, say: Callable[[str], None]) -> Iterator[None]:
    """Show progress and events from the run's own files, which are all that a watcher on another machine would have."""
    over = threading.Event()
    heard = sum(1 for _ in read_lines(run.events))

    def look(seen: int, heard: int) -> tuple[int, int]:
        lines = list(read_lines(run.events))
        for line in lines[heard:]:
            if "message" in line:
                say(line["message"])
        return _show(run.metrics, seen, advance), len(lines)

    def watch() -> None:
        known = (from_step, heard)
        while not over.wait(_LOOK_EVERY_SECONDS):
            known = look(*known)
        look(*known)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _show(metrics: Path, seen: int, advance: Any) -> int:
    fresh = [line for line in read_lines(metrics) if line["step"] > seen]
    if fresh:
        losses = "  ".join(f"{key.removeprefix('loss/')} {value:.3f}" for key, value in fresh[-1].items() if key.startswith("loss/"))
        advance(fresh[-1]["step"] - seen, note=losses)
    return int(fresh[-1]["step"]) if fresh else seen
