"""Tasks of preparation on Ray, a bounded number at a time, their results in the order of the tasks."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import ray

from orchestrator.errors import InfrastructureError, OrchestratorError
from orchestrator.scheduling.cluster import pool_size, ray_cluster

Result = TypeVar("Result")


class Task(Protocol):
    """A piece of work that says what it is and how large."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int: ...


AnyTask = TypeVar("AnyTask", bound=Task)


class Pool(Protocol):
    """What runs tasks."""

    def run(
        self, function: Callable[..., Result], tasks: Sequence[AnyTask], shared: Sequence[Any], on_done: Callable[[AnyTask], None]
    ) -> list[Result]:
        """Run a function on every task.

        Args:
            function: called with a task and with what is shared.
            tasks: any number.
            shared: further arguments, the same for all tasks.
            on_done: told of each task as it ends, in whatever order they end.

        Returns:
            A result a task, in the order of `tasks`: the same whatever ran where.

        Raises:
            OrchestratorError: what the first failing task raised.
        """


class RayPool:
    """Ray, from the first task on until the context ends. Without tasks no cluster is started."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._started = False

    def __enter__(self) -> Self:
        self._stack.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, trace)

    def run(
        self, function: Callable[..., Result], tasks: Sequence[AnyTask], shared: Sequence[Any], on_done: Callable[[AnyTask], None]
    ) -> list[Result]:
        if tasks and not self._started:
            self._stack.enter_context(ray_cluster(num_cpus=1))
            self._started = True
        return _run(function, tasks, shared, on_done) if tasks else []


def _run(
    function: Callable[..., Result], tasks: Sequence[AnyTask], shared: Sequence[Any], on_done: Callable[[AnyTask], None]
) -> list[Result]:
    remote = ray.remote(num_cpus=1, runtime_env={"env_vars": {"RAYON_NUM_THREADS": "1"}})(function)
    references = [ray.put(value) for value in shared]
    results: dict[int, Result] = {}
    waiting = list(enumerate(tasks))[::-1]
    running: dict[ray.ObjectRef, int] = {}
    while waiting or running:
        while waiting and len(running) < pool_size():
            index, task = waiting.pop()
            running[remote.remote(task, *references)] = index
        (done, *_), _ = ray.wait(list(running))
        index = running.pop(done)
        results[index] = _result(done, tasks[index])
        on_done(tasks[index])
    return [results[index] for index in range(len(tasks))]


def _result(done: ray.ObjectRef, task: Task) -> Any:
    try:
        return ray.get(done)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, OrchestratorError):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        raise InfrastructureError(f"the {task.name} died: {error}. Run `midtrain prepare` again; it goes on.") from error
