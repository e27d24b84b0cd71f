"""Steps of a preparation: many tasks of one kind, of which those that were completed before are not done again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from orchestrator.commands.console import Console
from orchestrator.scheduling.tasks import Pool, Task

Result = TypeVar("Result")
Completed = TypeVar("Completed", covariant=True)


class ResumableTask(Task, Protocol[Completed]):
    """A task that finds what it left when it was completed."""

    def completed(self) -> Completed | None:
        """The result of the same work, done earlier; none: it is to be done."""


@dataclass(frozen=True, slots=True)
class Step:
    """A kind of work.

    Attributes:
        name: a verb in its -ing form.
        unit: of the tasks' sizes.
    """

    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class Steps:
    """What does steps, and where their progress is shown."""

    pool: Pool
    console: Console

    def do(
        self,
        step: Step,
        function: Callable[..., Result],
        tasks: Sequence[ResumableTask[Result]],
        shared: Callable[[], Sequence[Any]] = tuple,
    ) -> list[Result]:
        """Do what is left of a step.

        Args:
            step: the kind of work.
            function: does a task.
            tasks: all of them.
            shared: gives further arguments of `function`; not asked when nothing is left.

        Returns:
            A result a task, in their order.

        Raises:
            OrchestratorError: what the first failing task raised.
        """
        done = {index: result for index, task in enumerate(tasks) if (result := task.completed()) is not None}
        left = [task for index, task in enumerate(tasks) if index not in done]
        if left:
            arguments = shared()
            with self.console.progress(step.name, sum(task.size for task in left), step.unit) as advance:
                fresh = iter(self.pool.run(function, left, arguments, lambda task: advance(task.size)))
        return [done[index] if index in done else next(fresh) for index in range(len(tasks))]
