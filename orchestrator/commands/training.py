"""`midtrain train` and `midtrain resume`."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.checkpoints.store import Checkpoint, is_committed, newest_checkpoint, step_directory
from orchestrator.commands.console import Console
from orchestrator.commands.planning import check_planned, plan_run
from orchestrator.config.load import dump_config, read_config
from orchestrator.config.schema import Config
from orchestrator.config.training import facts_of_training
from orchestrator.errors import CheckpointError
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.plan_file import read_plan, write_plan
from orchestrator.runs.attempts import only_attempt, read_status
from orchestrator.runs.directory import RunDirectory, create_run
from orchestrator.runs.lines import read_lines

if TYPE_CHECKING:  # it is slow to import, and `resume` of a finished run needs none of it
    from orchestrator.scheduling.attempt import AttemptJob, Outcome

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
        _supervise(run, config, plan, console)
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
        _supervise(run, config, plan, console)


def _supervise(run: RunDirectory, config: Config, plan: Plan, console: Console) -> None:
    from orchestrator.scheduling.driving import drive_in_process
    from orchestrator.scheduling.supervision import Supervision

    grace = config.scheduling.preemption.grace_seconds

    def choose() -> Checkpoint | None:
        checkpoint = newest_checkpoint(run.checkpoints)
        _check_fits(checkpoint, config, plan)
        return checkpoint

    def attempt(job: "AttemptJob", log: Path) -> "Outcome":
        began = f"resuming {run.root} from step {job.from_step}" if read_status(run).attempts > 1 else f"starting {run.root}"
        ranks = f"{'up to ' if config.scheduling.min_world_size else ''}{config.scheduling.world_size} ranks"
        console.note(f"{began} with {ranks}; logs in {log.parent}")
        with (
            console.progress("training", plan.steps, "steps", done=job.from_step) as advance,
            _watching(run.metrics, job.from_step, advance),
        ):
            return drive_in_process(job, log, grace_seconds=grace)

    Supervision(run, config.scheduling, choose=choose, attempt=attempt, say=console.note).to_the_end()


def _check_fits(checkpoint: Checkpoint | None, config: Config, plan: Plan) -> None:
    if checkpoint is None:
        return
    if checkpoint.manifest.get("plan") not in plan.fingerprints_at(checkpoint.step):
        raise CheckpointError(
            f"{checkpoint.directory} was trained by another plan than {plan.fingerprint}, and no amendment of it leads there. "
            f"Restore the run's plan.json, or start a new run."
        )
    for key, value in ({"world_size": config.scheduling.world_size} | facts_of_training(config.training)).items():
        if checkpoint.manifest.get(key) != value:
            raise CheckpointError(
                f"{checkpoint.directory} was saved with {key}={checkpoint.manifest.get(key)}, the run is configured with {value}. "
                f"Set it back in config.yaml; resuming across them is not supported yet."
            )


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
