"""Metrics in columns, and the held-out evaluations between them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.errors import DataError
from orchestrator.mixture.plan import Plan

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Line = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Timeline:
    """The n trained lines of metrics.jsonl over s sources.

    Attributes:
        steps: (n,) the last step of each interval, counted from 1.
        tokens: (n, s) trained tokens since the run began.
        losses: (n, s) mean loss of the interval in nats a token; NaN where it trained none of the source.
        learning_rate, gradient_norm: (n,) of the interval's last step.
        step_seconds, wait_seconds: (n,) means over the interval's steps.
    """

    steps: Ints
    tokens: Ints
    losses: Floats
    learning_rate: Floats
    gradient_norm: Floats
    step_seconds: Floats
    wait_seconds: Floats

    @property
    def interval_steps(self) -> Ints:
        """(n,) how many steps each line tells of."""
        return np.diff(self.steps, prepend=0)

    @property
    def interval_tokens(self) -> Ints:
        """(n, s) tokens that each interval trained."""
        return np.diff(self.tokens, axis=0, prepend=0)


def make_timeline(lines: Iterable[Line], names: Sequence[str]) -> Timeline:
    """Put metrics into columns.

    Args:
        lines: of metrics.jsonl; those before the first step are left out.
        names: of the sources, in the plan's order.
    """
    trained = [line for line in lines if line["step"] > 0]

    def column(key: str) -> Floats:
        return np.array([line[key] for line in trained], dtype=np.float64)

    return Timeline(
        steps=np.array([line["step"] for line in trained], dtype=np.int64),
        tokens=np.array([[line.get(f"tokens/{name}", 0) for name in names] for line in trained], dtype=np.int64),
        losses=np.array([[line.get(f"loss/{name}", np.nan) for name in names] for line in trained], dtype=np.float64),
        learning_rate=column("lr"),
        gradient_norm=column("grad_norm"),
        step_seconds=column("step_seconds"),
        wait_seconds=column("data_wait_seconds"),
    )


def deviations(timeline: Timeline, plan: Plan) -> Floats:
    """How far each source was from the shares asked for, (n, s) in sequences: what was trained less what it was due by then."""
    per_sequence = np.array([float(source.tokens_per_sequence) for source in plan.sources])
    return np.asarray(timeline.tokens / per_sequence - plan.due_before(timeline.steps))


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """One measurement of the held-out loss.

    Attributes:
        step: of it.
        losses: of each source, (num_sequences,) mean losses in nats a token.
        documents: of each source, (num_sequences,) the number of the document that each sequence is of; older runs did not write them down.
    """

    step: int
    losses: Mapping[str, Floats]
    documents: Mapping[str, Ints] = field(default_factory=dict)


def make_evaluations(metrics: Iterable[Line], heldout: Iterable[Line]) -> list[Evaluation]:
    """The evaluations of a run, in order.

    One counts when its line in metrics.jsonl, which is written last, is there. Sources without held-out text are left out.

    Raises:
        DataError: a source was measured on another number of sequences than before the first step.
    """
    measured = {line["step"] for line in metrics if any(key.startswith("heldout/") for key in line)}
    by_step: dict[int, list[Line]] = {step: [] for step in sorted(measured)}
    for line in heldout:
        if line["step"] in measured and line["losses"]:
            by_step[line["step"]].append(line)
    evaluations = [_evaluation(step, lines) for step, lines in by_step.items()]
    if evaluations:
        first = first_measured(evaluations)
        for evaluation in evaluations:
            _check_same_sequences(first, evaluation)
    return evaluations


def _evaluation(step: int, lines: Sequence[Line]) -> Evaluation:
    losses = {line["source"]: np.array(line["losses"], dtype=np.float64) for line in lines}
    return Evaluation(step, losses, {line["source"]: np.array(line["documents"], dtype=np.int64) for line in lines if "documents" in line})


def first_measured(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The first measurement of every source: those that an amendment adds are not in the first evaluation. With it the documents of its
    sequences, when any evaluation knows them."""
    losses: dict[str, Floats] = {}
    documents: dict[str, Ints] = {}
    for evaluation in evaluations:
        losses = {**evaluation.losses, **losses}
        documents = {**evaluation.documents, **documents}
    return Evaluation(evaluations[0].step, losses, documents)


def _check_same_sequences(first: Evaluation, later: Evaluation) -> None:
    for source, losses in later.losses.items():
        if len(losses) != len(first.losses[source]):
            raise DataError(
                f"heldout.jsonl: source {source!r} was measured on {len(first.losses[source])} sequences at step {first.step} and on "
                f"{len(losses)} at step {later.step}, which cannot be compared. evaluation.max_sequences was changed in between: set it "
                f"back and resume from a checkpoint before step {later.step}."
            )
