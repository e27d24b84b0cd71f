"""The plan's figures, as people and scripts read them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from orchestrator.mixture.exposure import updates_within
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.stages import Stage


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceSummary:
    """A row of the plan. Steps count from 1; a source that is never trained has neither first nor last.

    Attributes:
        name, role: of the source.
        unique_tokens: tokens of one epoch that carry a loss.
        whole_tokens: those of the whole source, where the run uses a part of it.
        trained_tokens: those that the run trains, repeats counted; exact for whole epochs, otherwise the mean of the epoch's sequences.
        sequences: that the run trains, repeats counted.
        share: of the run's trained tokens.
        asked_share: what was asked for.
        rounding_sequences: `sequences` less what was asked for.
        epochs: passes over the source.
        first_step, last_step: that train it.
        updates: steps that train it.
    """

    name: str
    role: str
    unique_tokens: int
    trained_tokens: int
    sequences: int
    share: float
    asked_share: float
    rounding_sequences: float
    epochs: float
    first_step: int | None
    last_step: int | None
    updates: int
    whole_tokens: int | None = None


def summarise(plan: Plan) -> dict[str, Any]:
    """The plan's figures, ready for JSON: the whole, a `SourceSummary` for each source, each stage, and how the plan was amended."""
    return {
        "sequence_length": plan.sequence_length,
        "sequences_per_step": plan.sequences_per_step,
        "steps": plan.steps,
        "tokens": plan.tokens,
        "trained_tokens": sum(map(round, _trained(plan, plan.sequences))),
        "sources": [_values(row) for row in _source_rows(plan)],
        "stages": list(_stage_rows(plan)),
        "amendments": [asdict(amendment) for amendment in plan.amendments],
    }


def _trained(plan: Plan, sequences: Sequence[float]) -> list[float]:
    """Trained tokens of so many sequences of each source, fractions of them included."""
    return [
        count * source.epoch.trained_tokens / source.epoch.sequences if count else 0.0
        for source, count in zip(plan.sources, sequences, strict=True)
    ]


def _source_rows(plan: Plan) -> list[SourceSummary]:
    due = plan.due_before(np.array([plan.steps]))[0].tolist()
    trained, asked = _trained(plan, plan.sequences), _trained(plan, due)
    updates = updates_within(plan, 1, plan.steps)
    return [
        SourceSummary(
            name=source.name,
            role=source.role,
            unique_tokens=source.epoch.trained_tokens,
            trained_tokens=round(trained[index]),
            sequences=plan.sequences[index],
            share=trained[index] / sum(trained),
            asked_share=asked[index] / sum(asked),
            rounding_sequences=plan.sequences[index] - due[index],
            epochs=plan.sequences[index] / source.epoch.sequences if source.epoch.sequences else 0.0,
            first_step=_step_of(plan, index, 0),
            last_step=_step_of(plan, index, plan.sequences[index] - 1),
            updates=updates[index],
            whole_tokens=source.trained_tokens if source.subset else None,
        )
        for index, source in enumerate(plan.sources)
    ]


def _values(row: SourceSummary) -> dict[str, Any]:
    """`whole_tokens` is said of what is not used whole."""
    return {key: value for key, value in asdict(row).items() if key != "whole_tokens" or value is not None}


def _step_of(plan: Plan, source: int, draw: int) -> int | None:
    return plan.spans.number_of(source, draw) // plan.sequences_per_step + 1 if plan.sequences[source] else None


def _stage_rows(plan: Plan) -> list[dict[str, Any]]:
    """Each stage: its steps, and the shares and sequences of its sources."""
    rows, first = [], 0
    for stage in plan.stages:
        bounds = plan.sequences_before(np.array([first, first + stage.made_steps]))
        rows.append(
            {
                "first_step": first + 1,
                "last_step": first + stage.made_steps,
                "sources": [_stage_source(plan, stage, index, int(count)) for index, count in enumerate(bounds[1] - bounds[0])],
            }
        )
        first += stage.made_steps
    return rows


def _stage_source(plan: Plan, stage: Stage, index: int, sequences: int) -> dict[str, Any]:
    return {
        "name": plan.sources[index].name,
        "start_share": float(stage.shares[index]),
        "end_share": float(stage.end_shares[index]),
        "sequences": sequences,
    }
