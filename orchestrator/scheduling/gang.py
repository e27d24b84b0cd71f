"""The ranks of a run as one gang: placed all or none, started and ended together. What failed comes back as an error of ours."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from orchestrator.errors import InfrastructureError, OrchestratorError
from orchestrator.runs.directory import RunDirectory
from orchestrator.scheduling.faults import failure_of, first_cause, is_infrastructure, is_of_a_process
from orchestrator.scheduling.rank_process import Membership, RankProcess, Standing
from orchestrator.scheduling.vitals import Observation

_SIBLING_SECONDS = 0.3  # processes that die together are heard of one by one
_CAUSE_SECONDS = 2.0  # a rank whose neighbour died often fails before the death is heard of

# glibc hands large blocks back at once, and a step that gets them anew has a page fault for each 4 KiB: a fifth of its time on a CPU.
_KEEP_MEMORY = f"glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold={1 << 32}:glibc.malloc.trim_threshold={1 << 34}"

References = list[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class GangPlace:
    """How many ranks, and where.

    Attributes:
        world_size: ranks.
        gpus_per_rank: 0 for gloo on CPUs, else NCCL.
        excluded_nodes: Ray's ids of nodes that are not to be used.
        environment: variables that their processes are to be started with, beyond those of the cluster.
    """

    world_size: int
    gpus_per_rank: int
    excluded_nodes: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


class Gang:
    """Ranks at work. It goes on only while someone waits for it, in the thread that waits."""

    def __init__(self, course: Generator[References, References, Any], is_placed: Callable[[], bool]) -> None:
        """
        Args:
            course: yields references, is sent those of them that are done, and returns what the gang returns.
            is_placed: whether Ray has room for it.
        """
        self._course, self._awaited, self._is_placed = course, next(course), is_placed
        self._result: Any = None
        self._error: BaseException | None = None
        self._is_over = False

    def wait(self, seconds: float) -> bool:
        """Wait for its end, for so long at most.

        Returns:
            Whether it has ended.
        """
        deadline = time.monotonic() + seconds
        while not self._is_over:
            try:
                done, _ = ray.wait(self._awaited, timeout=max(0.0, deadline - time.monotonic()))
                if not done:
                    return False
                done, _ = ray.wait(self._awaited, num_returns=len(self._awaited), timeout=0)  # all that are, at once
                self._awaited = self._course.send(done)
            except StopIteration as end:
                self._result, self._is_over = end.value, True
            except (OrchestratorError, RayError) as error:
                self._error, self._is_over = error, True
        return True

    def result(self) -> Any:
        """What rank 0 returned, once all have ended.

        Raises:
            OrchestratorError: what the first failing rank raised.
            InfrastructureError: a rank died, or could not be started.
        """
        if isinstance(self._error, RayError):
            raise InfrastructureError(f"the ranks could not be run: {self._error}. Go on with `midtrain resume`.") from self._error
        if self._error:
            raise self._error
        return self._result

    def is_placed(self) -> bool:
        """Whether there is room for all, which is then taken."""
        return self._is_placed()

    def close(self) -> None:
        """End what of it is still at work."""
        self._course.close()


def start_gang(rank_function: Callable[[Any], Any], job: Any, place: GangPlace, observation: Observation) -> Gang:
    """Start a function on every rank, with a process group between them.

    Args:
        rank_function: what each rank does.
        job: its argument.
        place: how many ranks, and where. They wait there until there is room for all.
        observation: what makes them observable.
    """
    room = _reserve(place)
    logs = RunDirectory(observation.run).logs(observation.token.attempt)
    return Gang(_course(rank_function, job, _processes(place, room), observation, logs), lambda: _state(room) == "CREATED")


def _state(room: PlacementGroup) -> str:
    return str(ray.util.placement_group_table(room).get("state"))


def _course(
    rank_function: Callable[[Any], Any], job: Any, gang: AbstractContextManager[list[Any]], observation: Observation, logs: Path
) -> Generator[References, References, Any]:
    with gang as processes:
        standings = yield from _all([process.stand.remote() for process in processes], logs)
        members = memberships(standings)
        working = [process.work.remote(member, observation, rank_function, job) for process, member in zip(processes, members, strict=True)]
        by_rank = sorted(zip(members, working, strict=True), key=lambda pair: pair[0].rank)
        results = yield from _all([reference for _, reference in by_rank], logs)
    return results[0]


@contextmanager
def _processes(place: GangPlace, room: PlacementGroup) -> Iterator[list[Any]]:
    """A process a rank, killed at the end: none has anything left to do then, and a rank that hangs in a collective hears nothing else."""
    processes = [
        ray.remote(RankProcess)
        .options(
            num_cpus=1,
            num_gpus=place.gpus_per_rank,
            max_restarts=0,  # an attempt is tried once (law 5)
            scheduling_strategy=PlacementGroupSchedulingStrategy(room, placement_group_bundle_index=index),
            runtime_env={"env_vars": dict(place.environment)} if place.environment else None,
        )
        .remote()
        for index in range(place.world_size)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            ray.kill(process)
        remove_placement_group(room)


def _reserve(place: GangPlace) -> PlacementGroup:
    """Room for all ranks or for none, on as few nodes as can be."""
    bundle = {"CPU": 1.0} | ({"GPU": float(place.gpus_per_rank)} if place.gpus_per_rank else {})
    elsewhere = {ray._raylet.RAY_NODE_ID_KEY: f"!in({', '.join(place.excluded_nodes)})"}
    return placement_group(
        [bundle] * place.world_size,
        strategy="PACK",
        bundle_label_selector=[elsewhere] * place.world_size if place.excluded_nodes else None,
    )


def memberships(standings: Sequence[Standing]) -> list[Membership]:
    """Number the ranks, those of a node in a row: collectives between neighbours then stay within nodes.

    Returns:
        A membership a standing, in their order.
    """
    order = sorted(range(len(standings)), key=lambda index: (standings[index].node, standings[index].gpus, index))
    first = standings[order[0]]
    by_index = {}
    for _, ranked in groupby(enumerate(order), key=lambda pair: standings[pair[1]].node):
        of_node = list(ranked)
        gpus = tuple(gpu for _, index in of_node for gpu in standings[index].gpus)
        for local_rank, (rank, index) in enumerate(of_node):
            by_index[index] = Membership(
                rank=rank,
                world_size=len(standings),
                local_rank=local_rank,
                local_world_size=len(of_node),
                visible_gpus=gpus,
                meeting=(first.address, first.port),
            )
    return [by_index[index] for index in range(len(standings))]


def rank_environment(gpus_per_rank: int) -> dict[str, str]:
    """What ranks without GPUs are started with: they must not find those of the node, and keep the memory that they were given once."""
    return {} if gpus_per_rank else {"DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": "", "GLIBC_TUNABLES": _KEEP_MEMORY}


def _all(references: References, logs: Path) -> Generator[References, References, list[Any]]:
    """What all ranks return, in their order.

    Raises:
        OrchestratorError: what made the first of them fail.
    """
    waiting = list(references)
    while waiting:
        done = set((yield waiting))
        waiting = [reference for reference in waiting if reference not in done]
        if failure := next(filter(None, map(failure_of, done)), None):
            raise first_cause(_failures(references, failure), logs)
    return list(ray.get(references))


def _failures(references: References, first: BaseException) -> dict[int, BaseException]:
    """The failures of ranks, once one has failed, by rank: with a moment for the one that made it fail, where it cannot be the cause."""
    deadline = time.monotonic() + (_CAUSE_SECONDS if is_infrastructure(first) and not is_of_a_process(first) else _SIBLING_SECONDS)
    while True:
        done, waiting = ray.wait(references, num_returns=len(references), timeout=0.1)
        ended = set(done)
        failures = {rank: failure for rank, one in enumerate(references) if one in ended and (failure := failure_of(one))}
        if any(map(is_of_a_process, failures.values())):
            deadline = min(deadline, time.monotonic() + _SIBLING_SECONDS)
        if not waiting or time.monotonic() > deadline:
            return failures
