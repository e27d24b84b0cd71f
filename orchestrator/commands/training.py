"""`midtrain train` and `midtrain resume`."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.checkpoints.choosing import refuse_fresh_start
from orchestrator.checkpoints.fitting import check_fits
from orchestrator.checkpoints.store import Checkpoint, DamagedError, committed_directories, is_committed, open_checkpoint, step_directory
from orchestrator.commands.console import Console
from orchestrator.commands.planning import check_planned, plan_run
from orchestrator.config.load import config_values, dump_config, read_config
from orchestrator.config.schema import Config
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.plan_file import read_plan, write_plan
from orchestrator.runs.attempts import only_attempt, read_status
from orchestrator.runs.directory import RunDirectory, create_run
from orchestrator.runs.lines import read_lines
from orchestrator.tracking.mirroring import mirroring

_LOOK_EVERY_SECONDS = 0.5


def train(config: Config, console: Console) -> RunDirectory:
    """Make a run and train it to its end.

    Returns:
        Its directory.

    Raises:
        OrchestratorError: nothing was begun, or the run stopped; its ledger says why.
    """
    plan = plan_run(config)
    assert config.run.dir is not None
    run = create_run(Path(config.run.dir), config=dump_config(config), write_plan=lambda path: write_plan(plan, path))
    with only_attempt(run):
        _attempt(run, config, plan, None, console)
    return run


def resume(run: RunDirectory, console: Console) -> None:
    """Go on with a run from its newest checkpoint.

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
        checkpoint = _newest_checkpoint(run, plan, config)
        where = f"from step {checkpoint.step}" if checkpoint else "from step 0: it had not come to a checkpoint"
        console.note(f"resuming {run.root} {where}")
        _attempt(run, config, plan, checkpoint, console)


def _attempt(run: RunDirectory, config: Config, plan: Plan, checkpoint: Checkpoint | None, console: Console) -> None:
    from orchestrator.scheduling.attempt import run_attempt

    from_step = checkpoint.step if checkpoint else 0
    console.note(f"starting {config.scheduling.world_size} ranks; logs in {run.root / 'logs'}")
    progress = console.progress("training", plan.steps, "steps", done=from_step)
    with mirroring(run, config.tracking, console.warn), progress as advance, _watching(run.metrics, from_step, advance):
        run_attempt(run, config, checkpoint)


def _newest_checkpoint(run: RunDirectory, plan: Plan, config: Config) -> Checkpoint | None:
    """The checkpoint to expect. Its files are not read here: the ranks share that."""
    for directory in reversed(committed_directories(run.checkpoints)):
        try:
            checkpoint = open_checkpoint(directory)
        except DamagedError:
            continue  # the ranks set it aside
        check_fits(checkpoint, plan, config_values(config))
        return checkpoint
    refuse_fresh_start(run)
    return None


@contextmanager
def _watching(metrics: Path, from_step: int, advance: Any) -> Iterator[None]:
    """Show progress from the run's own metrics file, which is all that a watcher on another machine would have."""
    over = threading.Event()

    def watch() -> None:
        seen = from_step
        while not over.wait(_LOOK_EVERY_SECONDS):
            seen = _show(metrics, seen, advance)
        _show(metrics, seen, advance)

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
