"""How a run answers its probes: its evaluations of them, and the change from the first to the newest. Pure functions of its files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.errors import DataError
from orchestrator.evaluation.standard_error import standard_error
from orchestrator.report.timeline import Floats, Line


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AnswersAt:
    """The answers to a probe of n items at a step.

    Attributes:
        step: updates made by then.
        items: a hash of them.
        correct: (n,) 1 where the right choice was the likeliest, else 0.
        margins: (n,) mean log-likelihood of the right choice less that of the best other one, in nats a token.
        num_cut: items whose prompt was cut.
    """

    step: int
    items: str
    correct: Floats
    margins: Floats
    num_cut: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeChange:
    """How the answers to a probe changed, over the same items.

    Attributes:
        first_step, step: of the evaluations that `before` and `after` are from.
        before, after: share of items that are answered right.
        stderr: standard error of `after`; none for a single item.
        change: after - before.
        change_stderr: standard error of the mean of the differences, item by item; none for a single one.
        margin_before, margin_after: means, in nats a token.
        num_items: that were asked.
        num_cut: those whose prompt was cut.
    """

    first_step: int
    step: int
    before: float
    after: float
    stderr: float | None
    change: float
    change_stderr: float | None
    margin_before: float
    margin_after: float
    num_items: int
    num_cut: int

    @property
    def was_repeated(self) -> bool:
        """Whether it was asked again since its first time."""
        return self.step > self.first_step

    @property
    def is_clear(self) -> bool:
        """Whether the change is more than twice its standard error from zero."""
        return self.change_stderr is not None and abs(self.change) > 2 * self.change_stderr


def make_asked(metrics: Iterable[Line], probes: Iterable[Line]) -> dict[str, list[AnswersAt]]:
    """The evaluations of each probe, in order. One counts when its line in metrics.jsonl, which is written last, is there.

    Raises:
        DataError: a probe was asked other items than before.
    """
    measured = {(line["step"], key) for line in metrics for key in line if key.startswith("probe/")}
    found: dict[str, list[AnswersAt]] = {}
    for line in probes:
        if (line["step"], f"probe/{line['probe']}") in measured:
            found.setdefault(line["probe"], []).append(_asked(line))
    for name, asked in found.items():
        asked.sort(key=lambda one: one.step)
        for later in asked[1:]:
            _check_same_items(name, asked[0], later)
    return found


def probe_changes(asked: Mapping[str, Sequence[AnswersAt]]) -> dict[str, ProbeChange]:
    """How the answers to each probe changed from its first evaluation to its newest."""
    return {name: compare_answers(one[0], one[-1]) for name, one in asked.items()}


def compare_answers(before: AnswersAt, after: AnswersAt) -> ProbeChange:
    """Compare two evaluations of the same items."""
    return ProbeChange(
        first_step=before.step,
        step=after.step,
        before=float(before.correct.mean()),
        after=float(after.correct.mean()),
        stderr=standard_error(after.correct),
        change=float((after.correct - before.correct).mean()),
        change_stderr=standard_error(after.correct - before.correct),
        margin_before=float(before.margins.mean()),
        margin_after=float(after.margins.mean()),
        num_items=len(after.correct),
        num_cut=after.num_cut,
    )


def probe_changes_of(summary: Mapping[str, Any]) -> dict[str, ProbeChange]:
    """The changes by probe of a run's summary, as they were before they became JSON."""
    return {name: ProbeChange(**values) for name, values in summary["probes"].items()}


def _asked(line: Line) -> AnswersAt:
    return AnswersAt(
        step=line["step"],
        items=line["items"],
        correct=np.array(line["correct"], dtype=np.float64),
        margins=np.array(line["margins"], dtype=np.float64),
        num_cut=line["num_cut"],
    )


def _check_same_items(name: str, first: AnswersAt, later: AnswersAt) -> None:
    if first.items != later.items:
        raise DataError(
            f"probes.jsonl: probe {name!r} was asked other items at step {later.step} than at step {first.step}, which cannot be compared. "
            f"The files of evaluation.probes.{name} were changed in between: put them back and resume from a checkpoint before step "
            f"{later.step}."
        )
