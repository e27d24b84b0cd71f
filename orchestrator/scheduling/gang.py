"""The ranks of a run as one gang: placed, started and ended together by Ray Train. What failed comes back as an error of ours."""

import os
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import Any

os.environ.setdefault("RAY_TRAIN_ENABLE_PRINT_PATCH", "0")  # ranks have logs of their own

from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2.api.exceptions import TrainingFailedError, WorkerGroupError

from orchestrator.errors import InfrastructureError, OrchestratorError


def run_gang(
    rank_function: Callable[[dict[str, Any]], None], job: dict[str, Any], *, world_size: int, gpus_per_rank: int, logs: Path
) -> None:
    """Run a function on every rank, with a process group between them.

    Args:
        rank_function: what each rank does.
        job: its argument.
        world_size: ranks.
        gpus_per_rank: 0 for gloo on CPUs, else NCCL.
        logs: where to look when a rank dies; Ray Train's own files go below it.

    Raises:
        OrchestratorError: what the first failing rank raised.
        InfrastructureError: a rank died.
    """
    trainer = TorchTrainer(
        rank_function,
        train_loop_config=job,
        torch_config=TorchConfig(backend="nccl" if gpus_per_rank else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=world_size,
            use_gpu=gpus_per_rank > 0,
            resources_per_worker={"CPU": 1} | ({"GPU": gpus_per_rank} if gpus_per_rank else {}),
        ),
        run_config=RunConfig(name="gang", storage_path=str(logs)),
    )
    try:
        _fit(trainer)
    except WorkerGroupError as error:
        raise _first_cause(error, logs) from None
    except TrainingFailedError as error:
        raise InfrastructureError(f"the gang of {world_size} ranks could not be run: {error}. The logs are in {logs}.") from error


def _fit(trainer: TorchTrainer) -> None:
    """Fit in a thread: Ray Train takes over Ctrl-C where it runs in the main one, and then ends as if all were done."""
    outcome: Future[object] = Future()

    def fit() -> None:
        try:
            outcome.set_result(trainer.fit())
        except BaseException as error:
            outcome.set_exception(error)

    Thread(target=fit, daemon=True).start()
    outcome.result()


def _first_cause(error: WorkerGroupError, logs: Path) -> OrchestratorError:
    """The rank that failed by itself, rather than one that fell with it."""
    for failure in error.worker_failures.values():
        if isinstance(cause := getattr(failure, "cause", failure), OrchestratorError):
            return cause
    rank, failure = next(iter(error.worker_failures.items()))
    summary = str(failure).strip().splitlines()[-1] if str(failure).strip() else type(failure).__name__
    return InfrastructureError(f"rank {rank} failed: {summary}. Its log is in {logs}; go on with `midtrain resume`.")
