"""Units of preparation as Ray tasks, a bounded number at a time, their results in the order of the units."""

from collections.abc import Callable, Sequence

import ray

from orchestrator.errors import InfrastructureError, OrchestratorError
from orchestrator.scheduling.cluster import pool_size
from orchestrator.shards.manifest import UnitResult
from orchestrator.shards.tokenize import UnitTask, run_unit


def run_units(tasks: Sequence[UnitTask], on_done: Callable[[UnitTask, UnitResult], None]) -> list[UnitResult]:
    """Run all units.

    Args:
        tasks: any number.
        on_done: told of each unit as it ends, in whatever order they end.

    Returns:
        A result a unit, in the order of `tasks`: the same whatever ran where.

    Raises:
        OrchestratorError: what the first failing unit raised.
    """
    remote = ray.remote(num_cpus=1, runtime_env={"env_vars": {"RAYON_NUM_THREADS": "1"}})(run_unit)
    results: dict[int, UnitResult] = {}
    waiting = list(enumerate(tasks))[::-1]
    running: dict[ray.ObjectRef, int] = {}
    while waiting or running:
        while waiting and len(running) < pool_size():
            index, task = waiting.pop()
            running[remote.remote(task)] = index
        (done, *_), _ = ray.wait(list(running))
        index = running.pop(done)
        results[index] = _result(done, tasks[index])
        on_done(tasks[index], results[index])
    return [results[index] for index in range(len(tasks))]


def _result(done: ray.ObjectRef, task: UnitTask) -> UnitResult:
    try:
        result: UnitResult = ray.get(done)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, OrchestratorError):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        raise InfrastructureError(
            f"the task that tokenised {task.unit.files[0].path} died: {error}. Run `midtrain prepare` again; it goes on."
        ) from error
    return result
