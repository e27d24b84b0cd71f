"""Units of preparation as Ray tasks, a bounded number at a time, their results in the order of the units."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import ray

from orchestrator.errors import InfrastructureError, OrchestratorError
from orchestrator.scheduling.cluster import pool_size


class Task(Protocol):
    """A piece of work on its own."""

    @property
    def file(self) -> str:
        """What it is known by."""


AnyTask = TypeVar("AnyTask", bound=Task)
Result = TypeVar("Result")


def run_tasks(run: Callable[[AnyTask], Result], tasks: Sequence[AnyTask], on_done: Callable[[AnyTask], None]) -> list[Result]:
    """Run a function on every task.

    Args:
        run: what is done with one.
        tasks: any number.
        on_done: told of each task as it ends, in whatever order they end.

    Returns:
        A result a task, in the order of `tasks`: the same whatever ran where.

    Raises:
        OrchestratorError: what the first failing task raised.
    """
    remote = ray.remote(num_cpus=1, runtime_env={"env_vars": {"RAYON_NUM_THREADS": "1"}})(run)
    results: dict[int, Result] = {}
    waiting = list(enumerate(tasks))[::-1]
    running: dict[ray.ObjectRef, int] = {}
    while waiting or running:
        while waiting and len(running) < pool_size():
            index, task = waiting.pop()
            running[remote.remote(task)] = index
        (done, *_), _ = ray.wait(list(running))
        index = running.pop(done)
        results[index] = _result(done, tasks[index].file)
        on_done(tasks[index])
    return [results[index] for index in range(len(tasks))]


def _result(done: ray.ObjectRef, file: str) -> Any:
    try:
        return ray.get(done)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, OrchestratorError):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        raise InfrastructureError(f"the task that worked on {file} died: {error}. Run `midtrain prepare` again; it goes on.") from error
