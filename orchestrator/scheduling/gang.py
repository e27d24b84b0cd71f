"""The ranks of a run as one gang: placed, started and ended together by Ray Train. What failed comes back as an error of ours."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotDoneError
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

os.environ.setdefault("RAY_TRAIN_ENABLE_PRINT_PATCH", "0")  # ranks have logs of their own
os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")  # how soon a rank that died is noticed
# What takes too long is for our deadlines to say, which name the phase and the rank; Ray Train's own are only put out of the way.
os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", str(7 * 86400))
os.environ.setdefault("RAY_TRAIN_WORKER_HEALTH_CHECK_TIMEOUT_S", str(7 * 86400))
os.environ.setdefault("TORCH_PROCESS_GROUP_SHUTDOWN_TIMEOUT_S", "5")

import ray
from ray import train as ray_train
from ray.exceptions import RayError
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError
from ray.train.v2._internal.execution.context import get_train_context
from ray.train.v2.api.exceptions import PreemptionError, TrainingFailedError, WorkerGroupError

from orchestrator.errors import InfrastructureError, NodePreemptedError, OrchestratorError, RankFailedError
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.fence import Token

# An attempt is tried once (law 5): by default Ray Train would start the ranks again, from the checkpoint that the attempt began with.
_NO_RETRY = FailureConfig(max_failures=0, controller_failure_limit=0, max_preemption_failures=0)

# glibc hands large blocks back at once, and a step that gets them anew has a page fault for each 4 KiB: a fifth of its time on a CPU.
_KEEP_MEMORY = f"glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold={1 << 32}:glibc.malloc.trim_threshold={1 << 34}"


@dataclass(frozen=True, kw_only=True, slots=True)
class GangPlace:
    """How many ranks, and where.

    Attributes:
        world_size: ranks.
        gpus_per_rank: 0 for gloo on CPUs, else NCCL.
        excluded_nodes: Ray's ids of nodes that are not to be used.
    """

    world_size: int
    gpus_per_rank: int
    excluded_nodes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """What every rank's process is given before anything in it can hang; see `open_vitals`."""

    run: Path
    token: Token
    board: Any
    signals: Sequence[str]


class RankLostError(InfrastructureError):
    """Ranks whose processes died. Who they were the driver knows.

    Attributes:
        ranks: their numbers.
    """

    def __init__(self, message: str, ranks: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.ranks = tuple(ranks)


class Gang:
    """Ranks at work."""

    def __init__(self, outcome: "Future[Any]", world_size: int, logs: Path) -> None:
        self._outcome, self._world_size, self._logs = outcome, world_size, logs

    def wait(self, seconds: float) -> bool:
        """Wait for its end, for so long at most.

        Returns:
            Whether it has ended.
        """
        try:
            self._outcome.exception(seconds)
        except NotDoneError:
            return False
        return True

    def result(self) -> Any:
        """What rank 0 returned, once all have ended.

        Raises:
            OrchestratorError: what the first failing rank raised.
            InfrastructureError: a rank died, or the gang could not be placed.
            NodePreemptedError: a node is taken away.
        """
        try:
            return self._outcome.result()
        except WorkerGroupError as error:
            raise _first_cause(error, self._logs) from None
        except PreemptionError as error:
            raise NodePreemptedError(f"a node is being taken away: {error}. Go on with `midtrain resume`.") from error
        except (TrainingFailedError, RayError) as error:
            raise InfrastructureError(
                f"the gang of {self._world_size} ranks could not be run: {error}. The logs are in {self._logs}."
            ) from error


def start_gang(rank_function: Callable[[dict[str, Any]], Any], job: dict[str, Any], place: GangPlace, observation: Observation) -> Gang:
    """Start a function on every rank, with a process group between them.

    Args:
        rank_function: what each rank does.
        job: its argument.
        place: how many ranks, and where.
        observation: what makes them observable; Ray Train's own files go below the attempt's logs.
    """
    logs = RunDirectory(observation.run).logs(observation.token.attempt)
    gpus = place.gpus_per_rank
    trainer = TorchTrainer(
        rank_function,
        train_loop_config=job,
        torch_config=_ObservedTorch(backend="nccl" if gpus else "gloo", observation=observation),
        scaling_config=ScalingConfig(
            num_workers=place.world_size,
            use_gpu=gpus > 0,
            resources_per_worker={"CPU": 1} | ({"GPU": gpus} if gpus else {}),
            label_selector={ray._raylet.RAY_NODE_ID_KEY: f"!in({', '.join(place.excluded_nodes)})"} if place.excluded_nodes else None,
        ),
        run_config=RunConfig(
            name="gang", storage_path=str(logs), failure_config=_NO_RETRY, worker_runtime_env={"env_vars": rank_environment(gpus)}
        ),
    )
    return Gang(_fit(trainer), place.world_size, logs)


def _observe(observation: Observation) -> None:
    """On a rank, in its main thread: the function that trains runs in another, where Python lets nobody take signals."""
    from orchestrator.scheduling.vitals import open_vitals

    open_vitals(
        ray_train.get_context().get_world_rank(),
        run=observation.run,
        token=observation.token,
        board=observation.board,
        signals=observation.signals,
    )


class _ObservedBackend(TorchConfig().backend_cls):  # type: ignore[misc]
    """Ray Train's backend for torch, which makes ranks observable before it joins them into a process group."""

    def on_start(self, worker_group: Any, backend_config: Any) -> None:
        worker_group.execute(_observe, backend_config.observation)
        super().on_start(worker_group, backend_config)


@dataclass
class _ObservedTorch(TorchConfig):  # type: ignore[misc]
    observation: Observation | None = None

    @property
    def backend_cls(self) -> type[_ObservedBackend]:
        return _ObservedBackend


def rank_environment(gpus_per_rank: int) -> dict[str, str]:
    """What ranks without GPUs are started with: they must not find those of the node, and keep the memory that they were given once."""
    return {} if gpus_per_rank else {"DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": "", "GLIBC_TUNABLES": _KEEP_MEMORY}


def _fit(trainer: TorchTrainer) -> "Future[Any]":
    """Fit in a thread: Ray Train takes over Ctrl-C where it runs in the main one, and then ends as if all were done."""
    outcome: Future[Any] = Future()

    def fit() -> None:
        try:
            outcome.set_result(trainer.fit().return_value)
        except BaseException as error:
            outcome.set_exception(error)

    Thread(target=fit, name="fit", daemon=True).start()
    return outcome


def is_node_taken_away() -> bool:
    """Whether Ray has announced, to this rank, that it takes a node of the gang away. Unlike Ray Train's own question no collective."""
    return get_train_context().preemption_context.preemption_info is not None


def is_infrastructure(failure: BaseException) -> bool:
    """Whether a process, disk or connection failed: a rank whose neighbour died sees only that the connection is gone."""
    lost = ("gloo", "nccl", "connection")
    return _is_of_a_process(failure) or isinstance(failure, OSError) or any(word in str(failure).lower() for word in lost)


def _is_of_a_process(failure: BaseException) -> bool:
    return isinstance(failure, RayError | WorkerHealthCheckFailedError)


def _first_cause(error: WorkerGroupError, logs: Path) -> OrchestratorError:
    """What ended the gang: an error of ours, else processes that died, else an exception that nobody foresaw."""
    failures = {rank: getattr(failure, "_base_exc", failure) for rank, failure in error.worker_failures.items()}  # Ray Train wraps them
    if ours := [failure for failure in failures.values() if isinstance(failure, OrchestratorError)]:
        return ours[0]
    if died := [rank for rank, failure in failures.items() if _is_of_a_process(failure)]:
        return RankLostError(f"ranks whose processes died: {', '.join(map(str, died))}.", died)
    rank, failure = min(failures.items(), key=lambda item: is_infrastructure(item[1]))
    first_line = (str(failure).strip().splitlines() or [""])[0]
    message = f"rank {rank} failed: {type(failure).__name__}: {first_line}. Its log is in {logs}; go on with `midtrain resume`."
    return InfrastructureError(message) if is_infrastructure(failure) else RankFailedError(message)
