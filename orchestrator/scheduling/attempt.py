"""One attempt at a run, from its start in the ledger to its stop with a reason, whatever happens in between (law 5)."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from orchestrator.checkpoints.store import Checkpoint, is_committed, step_directory
from orchestrator.config.schema import Config
from orchestrator.errors import InfrastructureError, InterruptedRunError, OrchestratorError
from orchestrator.feed.worker import start_workers
from orchestrator.mixture.plan_file import read_plan
from orchestrator.runs.attempts import Stop, start_attempt, stop_attempt
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines
from orchestrator.scheduling.cluster import cluster_nodes, ray_cluster
from orchestrator.scheduling.gang import run_gang
from orchestrator.scheduling.placement import feed_places


def run_attempt(run: RunDirectory, config: Config, checkpoint: Checkpoint | None) -> None:
    """Train a run from a checkpoint, or from its beginning, to its end.

    Args:
        run: its directory; the caller holds its lock.
        config: as read from it.
        checkpoint: that it is expected to go on from, or none; the ranks verify it, and take the one before it if it is damaged.

    Raises:
        OrchestratorError: it stopped before its end; the ledger says why.
    """
    from_step = checkpoint.step if checkpoint else 0
    attempt = start_attempt(run, world_size=config.scheduling.world_size, from_step=from_step)
    try:
        _run(run, config, attempt)
    except OrchestratorError as error:
        stop_attempt(run, attempt, _stop(run, from_step, str(error), error.reason_class, error.exit_code))
        raise
    except BaseException as error:
        stop_attempt(run, attempt, _stop(run, from_step, f"{type(error).__name__}: {error}", "bug", 1))
        raise
    stop_attempt(run, attempt, _stop(run, from_step, "all steps are done", "done", 0))


def _run(run: RunDirectory, config: Config, attempt: int) -> None:
    scheduling = config.scheduling
    cluster = ray_cluster(scheduling.world_size, scheduling.world_size * scheduling.gpus_per_rank)
    with cluster, _stopping_on_signals():  # in this order: Ray sets handlers of its own when it starts
        places = feed_places(cluster_nodes(), config.feed, gpus_per_rank=scheduling.gpus_per_rank)
        workers = start_workers(
            run.plan, Path(config.shards.dir), places, packing=config.shards.packing, document_attention=config.feed.document_attention
        )
        run_gang(
            _rank,
            {"run": run.root, "attempt": attempt, "workers": workers},
            world_size=scheduling.world_size,
            gpus_per_rank=scheduling.gpus_per_rank,
            logs=run.logs(attempt),
        )
    last = step_directory(run.checkpoints, read_plan(run.plan).steps)
    if not is_committed(last):
        raise InfrastructureError(f"the ranks ended without an error and without {last}. Their logs are in {run.logs(attempt)}.")


def _rank(job: dict[str, Any]) -> None:
    """What Ray Train calls on a rank. DeepSpeed and the models are imported there, not here in the driver."""
    from orchestrator.scheduling.rank import run_rank

    run_rank(job)


def _stop(run: RunDirectory, from_step: int, reason: str, reason_class: str, exit_code: int) -> Stop:
    step = max((line["step"] for line in read_lines(run.metrics)), default=from_step)
    return Stop(step=step, reason=reason, reason_class=reason_class, exit_code=exit_code)


@contextmanager
def _stopping_on_signals() -> Iterator[None]:
    """Turn a signal that asks to stop into an error, so that it leaves by the same door as every other stop."""

    def stop(number: int, _: FrameType | None) -> None:
        name = signal.Signals(number).name
        raise InterruptedRunError(f"stopped by {name}. Go on from the last checkpoint with `midtrain resume`.")

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
