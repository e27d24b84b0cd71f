"""The ranks of a run as one gang: placed, started and ended together by Ray Train. What failed comes back as an error of ours."""

import os
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import Any

os.environ.setdefault("RAY_TRAIN_ENABLE_PRINT_PATCH", "0")  # ranks have logs of their own
os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "600")  # imports from a busy network disk take minutes

from ray.exceptions import RayError
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2.api.exceptions import PreemptionError, TrainingFailedError, WorkerGroupError

from orchestrator.errors import InfrastructureError, InterruptedRunError, OrchestratorError, RankFailedError

# An attempt is tried once (law 5): by default Ray Train would start the ranks again, from the checkpoint that the attempt began with.
_NO_RETRY = FailureConfig(max_failures=0, controller_failure_limit=0, max_preemption_failures=0)

# glibc hands large blocks back at once, and a step that gets them anew has a page fault for each 4 KiB: a fifth of its time on a CPU.
_KEEP_MEMORY = f"glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold={1 << 32}:glibc.malloc.trim_threshold={1 << 34}"


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
        InfrastructureError: a rank died, or the gang could not be placed.
        InterruptedRunError: a node is preempted.
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
        run_config=RunConfig(
            name="gang", storage_path=str(logs), failure_config=_NO_RETRY, worker_runtime_env={"env_vars": rank_environment(gpus_per_rank)}
        ),
    )
    try:
        _fit(trainer)
    except WorkerGroupError as error:
        raise _first_cause(error, logs) from None
    except PreemptionError as error:
        raise InterruptedRunError(f"a node is being taken away: {error}. Go on with `midtrain resume`.") from error
    except (TrainingFailedError, RayError) as error:
        raise InfrastructureError(f"the gang of {world_size} ranks could not be run: {error}. The logs are in {logs}.") from error


def rank_environment(gpus_per_rank: int) -> dict[str, str]:
    """What ranks without GPUs are started with: they must not find those of the node, and keep the memory that they were given once."""
    return {} if gpus_per_rank else {"DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": "", "GLIBC_TUNABLES": _KEEP_MEMORY}


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
    """What ended the gang: an error of ours, else a process that died, else an exception that nobody foresaw."""
    failures = {rank: getattr(failure, "_base_exc", failure) for rank, failure in error.worker_failures.items()}  # Ray Train wraps them
    if ours := [failure for failure in failures.values() if isinstance(failure, OrchestratorError)]:
        return ours[0]
    unforeseen = {rank: failure for rank, failure in failures.items() if not _is_infrastructure(failure)}
    kind, of_kind = (RankFailedError, unforeseen) if len(unforeseen) == len(failures) else (InfrastructureError, failures)
    rank, failure = min(of_kind.items(), key=lambda item: not isinstance(item[1], RayError))
    first_line = (str(failure).strip().splitlines() or [""])[0]
    return kind(f"rank {rank} failed: {type(failure).__name__}: {first_line}. Its log is in {logs}; go on with `midtrain resume`.")


def _is_infrastructure(failure: Exception) -> bool:
    """Whether a process, disk or connection failed: a rank whose neighbour died sees only that the connection is gone."""
    lost = ("gloo", "nccl", "connection")
    return isinstance(failure, RayError | OSError) or any(word in str(failure).lower() for word in lost)
