"""Whether a run that stopped is started again, by what stopped it and whether it has come further since. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.config.operation import BudgetsConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """An attempt that failed.

    Attributes:
        reason_class: law 5.
        from_step: the checkpoint that it began from.
        step: the last one that it made.
    """

    reason_class: str
    from_step: int
    step: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What is left.

    Attributes:
        goes_on: whether the run is started again.
        spent: of the class of the last failure, with it.
        limit: its budget.
        in_a_row: failures since the last progress, for how long to back off.
    """

    goes_on: bool
    spent: int
    limit: int
    in_a_row: int


def judge(failures: Sequence[Failure], budgets: Mapping[str, int]) -> Verdict:
    """Charge the failures of a command to its budgets.

    A failure costs 1, and 2 when it is at the very step of the one before, as it will likely be there again; before the first step of an
    attempt there is nothing that the step could have to do with it. An attempt that begins from a
    later checkpoint than the one before has made progress, and fills all budgets again.

    Args:
        failures: in order, at least one.
        budgets: by class; a class without one has none.
    """
    spent: dict[str, int] = {}
    in_a_row = 0
    for before, failure in zip([None, *failures[:-1]], failures, strict=True):
        if before and failure.from_step > before.from_step:
            spent, in_a_row = {}, 0
        again = before is not None and failure.step == before.step and failure.step > failure.from_step
        spent[failure.reason_class] = spent.get(failure.reason_class, 0) + (2 if again else 1)
        in_a_row += 1
    last = failures[-1].reason_class
    limit = budgets.get(last, 0)
    return Verdict(goes_on=spent[last] <= limit, spent=spent[last], limit=limit, in_a_row=in_a_row)


def by_class(budgets: BudgetsConfig) -> dict[str, int]:
    """Of the configuration. What a user has to mend is not tried again."""
    return {
        "preempted": budgets.preempted,
        "infrastructure": budgets.infrastructure,
        "data": budgets.data,
        "numerics": budgets.numerics,
        "bug": budgets.bug,
    }


def backoff_seconds(in_a_row: int, *, first: float = 2.0, longest: float = 60.0) -> float:
    """How long to wait before the next attempt: twice as long after each failure."""
    return float(min(longest, first * 2.0 ** min(in_a_row - 1, 30)))
