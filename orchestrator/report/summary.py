"""The figures of a run: what was learned, what was forgotten, and what it cost. Pure functions of what the run wrote down."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from orchestrator.evaluation.standard_error import standard_error
from orchestrator.mixture.plan import Plan
from orchestrator.report.probes import AnswersAt, probe_changes
from orchestrator.report.timeline import Evaluation, Floats, Ints, Timeline, deviations, first_measured


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldoutChange:
    """How a source's held-out loss changed, over the same sequences.

    Attributes:
        role: of the source.
        step: of the evaluation that `after` is from.
        before, after: mean loss in nats a token.
        stderr: standard error of `after`, over documents where they are known and else over sequences; none for a single one.
        change: after / before - 1.
        change_stderr: standard error of the mean of the paired differences, likewise, as a share of `before`; none for a single one.
        num_sequences: how many sequences were measured.
        num_documents: of how many documents they are; none: it was not written down.
    """

    role: str
    step: int
    before: float
    after: float
    stderr: float | None
    change: float
    change_stderr: float | None
    num_sequences: int
    num_documents: int | None = None

    @property
    def is_clear(self) -> bool:
        """Whether the change is more than twice its standard error from zero."""
        return self.change_stderr is not None and abs(self.change) > 2 * self.change_stderr


def summarise_run(
    *,
    model: str,
    plan: Plan,
    timeline: Timeline,
    evaluations: Sequence[Evaluation],
    probes: Mapping[str, Sequence[AnswersAt]],
    stall_seconds: Sequence[float],
) -> dict[str, Any]:
    """The run's summary, ready for JSON.

    Args:
        model: what to call the model.
        plan: of the run.
        timeline: of at least one logged interval.
        evaluations: in order, the first from before the first step; empty when nothing was held out.
        probes: the evaluations of each, in order.
        stall_seconds: what each checkpoint cost.

    Returns:
        Steps and tokens trained so far; held-out changes by source; changes of the answers by probe; each source's share of the trained
        tokens, and the most that it was off its planned share at any logged step, in sequences; tokens a second of step time; the share of
        step time spent waiting for data; and the seconds that checkpoints stalled training.
    """
    names = [source.name for source in plan.sources]
    tokens = timeline.tokens[-1]
    largest = np.abs(deviations(timeline, plan)).max(axis=0)
    step_seconds, wait_seconds = total_seconds(timeline)
    changes = heldout_changes(plan, first_measured(evaluations), evaluations[-1]) if evaluations else {}
    return {
        "model": model,
        "steps": int(timeline.steps[-1]),
        "tokens": int(tokens.sum()),
        "heldout": {name: asdict(change) for name, change in changes.items()},
        "probes": {name: asdict(change) for name, change in probe_changes(probes).items()},
        "realised_share": dict(zip(names, (tokens / tokens.sum()).tolist(), strict=True)),
        "largest_deviation_sequences": dict(zip(names, largest.tolist(), strict=True)),
        "tokens_per_second": float(tokens.sum() / step_seconds),
        "data_wait_share": wait_seconds / step_seconds,
        "checkpoint_stall_seconds": math.fsum(stall_seconds),
    }


def changes_of(summary: Mapping[str, Any]) -> dict[str, HeldoutChange]:
    """The held-out changes by source of a summary, as they were before they became JSON."""
    return {name: HeldoutChange(**values) for name, values in summary["heldout"].items()}


def heldout_changes(plan: Plan, before: Evaluation, after: Evaluation) -> dict[str, HeldoutChange]:
    """How the held-out loss of each measured source changed from one evaluation to another, in the plan's order.

    Args:
        plan: of the run.
        before: with the documents of its sequences, where they are known.
        after: of the same sequences.
    """
    return {
        source.name: compare(
            before.losses[source.name],
            after.losses[source.name],
            documents=before.documents.get(source.name),
            role=source.role,
            step=after.step,
        )
        for source in plan.sources
        if source.name in before.losses
    }


def compare(before: Floats, after: Floats, *, documents: Ints | None = None, role: str, step: int) -> HeldoutChange:
    """Compare two measurements of the same sequences.

    Args:
        before: (n,) mean losses of each sequence, in nats a token.
        after: (n,) those of the same sequences later.
        documents: (n,) the number of the document that each is of; none: they are taken as independent.
        role: of their source.
        step: when `after` was measured.
    """
    mean = float(before.mean())
    paired = standard_error(after - before, documents)
    return HeldoutChange(
        role=role,
        step=step,
        before=mean,
        after=float(after.mean()),
        stderr=standard_error(after, documents),
        change=float(after.mean()) / mean - 1,
        change_stderr=None if paired is None else paired / mean,
        num_sequences=len(before),
        num_documents=None if documents is None else len(np.unique(documents)),
    )


def total_seconds(timeline: Timeline) -> tuple[float, float]:
    """The time of all steps together, and how much of it was spent waiting for data."""
    steps = timeline.interval_steps
    return float(timeline.step_seconds @ steps), float(timeline.wait_seconds @ steps)
