"""The page of a run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from orchestrator.mixture.plan import Plan
from orchestrator.mixture.summary import summarise
from orchestrator.report import charts, wording
from orchestrator.report.charts import LIMIT_SEQUENCES, SPEC_LIMIT_SEQUENCES
from orchestrator.report.frame import NONE, Card, render
from orchestrator.report.looks import Chart, Style, source_styles
from orchestrator.report.probes import probe_changes_of
from orchestrator.report.records import Attempt, RunRecords, model_name
from orchestrator.report.summary import HeldoutChange, changes_of, total_seconds
from orchestrator.report.timeline import Evaluation, Floats, Timeline, deviations


@dataclass(frozen=True, kw_only=True, slots=True)
class TimePart:
    """A part of the run's time."""

    name: str
    color: str
    seconds: float
    share: float


def render_page(records: RunRecords, *, timeline: Timeline, evaluations: Sequence[Evaluation], summary: Mapping[str, Any]) -> str:
    """Write the page.

    Args:
        records: the run.
        timeline: its metrics.
        evaluations: its held-out losses.
        summary: of `summarise_run`.

    Returns:
        HTML with everything in it.
    """
    plan, styles = records.plan, source_styles(records.plan.sources)
    changes = changes_of(summary)
    off = deviations(timeline, plan)
    values = {
        "name": records.config.run.name,
        "model": model_name(records.config),
        "facts": _facts(records),
        "progress": wording.progress(summary["steps"], plan.steps),
        "headline": wording.headline(changes),
        "findings": [*_change_cards(changes), _share_card(plan, summary, _spec_deviation(plan, off))],
        "costs": _cost_cards(plan, summary, records.saves),
        "mixture": _mixture_verdict(plan, off),
        "plan": summarise(plan),
        "in_part": any(source.subset for source in plan.sources),
        "realised": summary["realised_share"],
        "changes": changes,
        "probes": probe_changes_of(summary),
        "counts_documents": all(change.num_documents is not None for change in changes.values()),
        "evaluated_step": evaluations[-1].step if evaluations else 0,
        "looks": {style.name: style for style in styles},
        "time": _time_parts(timeline, records),
        "attempts": records.attempts,
        "is_running": records.is_running,
        "config_text": records.config_text,
    }
    return render("page.html.j2", list(_charts(timeline, evaluations, off, styles)), values)


def _facts(records: RunRecords) -> list[str]:
    training, plan, ranks = records.config.training, records.plan, records.config.scheduling.world_size
    lora = training.lora
    return [
        f"{plan.steps:,} steps of {plan.sequences_per_step:,} sequences of {plan.sequence_length:,} tokens",
        f"{ranks} rank{'' if ranks == 1 else 's'}",
        f"ZeRO stage {training.zero_stage}",
        training.precision,
        f"LoRA adapters of rank {lora.rank}" if lora else "all parameters",
    ]


def _charts(timeline: Timeline, evaluations: Sequence[Evaluation], off: Floats, styles: Sequence[Style]) -> Iterator[Chart]:
    if len(evaluations) > 1:
        yield charts.heldout_chart(evaluations, styles)
    yield charts.loss_chart(timeline, styles)
    yield charts.deviation_chart(timeline, off, styles)
    yield charts.learning_rate_chart(timeline)
    yield charts.gradient_norm_chart(timeline)


def _change_cards(changes: Mapping[str, HeldoutChange]) -> Iterator[Card]:
    """The least that the spec fell and the most that general text rose."""
    for title, is_spec in (("Spec, held-out loss", True), ("Worst general change", False)):
        side = {name: change for name, change in changes.items() if (change.role == "spec") == is_spec}
        if not wording.measured_since(side):
            yield Card(title, NONE, "measured before the first step only" if side else "nothing held out")
            continue
        name = max(side, key=lambda name: side[name].change)
        change = side[name]
        digits = wording.change_digits(change)
        error = "" if change.change_stderr is None else f"± {100 * change.change_stderr:.{digits}f}"
        note = f"{name}, {change.before:.2f} → {change.after:.2f} nats a token"
        yield Card(title, wording.percent(change.change, digits, signed=True), note, error)


def _share_card(plan: Plan, summary: Mapping[str, Any], spec_deviation: float | None) -> Card:
    spec = [index for index, source in enumerate(plan.sources) if source.role == "spec"]
    if spec_deviation is None:
        return Card("Spec share realised", NONE, "no source has the role spec")
    realised = sum(summary["realised_share"][plan.sources[index].name] for index in spec)
    planned = sum(plan.sequences[index] for index in spec) / plan.num_sequences
    note = f"planned {wording.percent(planned, 2)}, at most {spec_deviation:.2f} sequences off"
    return Card("Spec share realised", wording.percent(realised, 2), note)


def _cost_cards(plan: Plan, summary: Mapping[str, Any], num_checkpoints: int) -> list[Card]:
    saves = f"{num_checkpoints:,} checkpoint{'' if num_checkpoints == 1 else 's'}"
    return [
        Card("Tokens trained", f"{summary['tokens']:,}", f"{summary['steps']:,} of {plan.steps:,} steps"),
        Card("Tokens a second", f"{summary['tokens_per_second']:,.0f}", "of step time, all ranks together"),
        Card("Waiting for data", wording.percent(summary["data_wait_share"], 2), "of step time"),
        Card("Checkpoint stall", wording.duration(summary["checkpoint_stall_seconds"]), saves),
    ]


def _spec_deviation(plan: Plan, off: Floats) -> float | None:
    """The most that the spec sources together were off their planned share, in sequences."""
    is_spec = np.array([source.role == "spec" for source in plan.sources])
    return float(np.abs(off[:, is_spec].sum(axis=1)).max()) if is_spec.any() else None


def _mixture_verdict(plan: Plan, off: Floats) -> str:
    """Whether the mixture was what it has to be at every logged step."""
    spec, others = _spec_deviation(plan, off), float(np.abs(off).max())
    kept = (spec is None or spec <= SPEC_LIMIT_SEQUENCES) and others <= LIMIT_SEQUENCES
    of_spec = (
        "" if spec is None else f"the spec was within {spec:.2f} sequences of its planned share (the limit is {SPEC_LIMIT_SEQUENCES}), "
    )
    text = f"At every logged step {of_spec}every source within {others:.2f} (the limit is {LIMIT_SEQUENCES})"
    return f"{text}." if kept else f"{text}. That is more than the plan allows: please report it as a bug."


def _time_parts(timeline: Timeline, records: RunRecords) -> list[TimePart]:
    step_seconds, wait_seconds = total_seconds(timeline)
    stall_seconds = sum(records.stall_seconds)
    parts = [
        ("computing", "var(--general-0)", step_seconds - wait_seconds),
        ("waiting for data", "var(--general-3)", wait_seconds),
        ("saving checkpoints", "var(--spec)", stall_seconds),
    ]
    attempts_seconds = _attempts_seconds(records.attempts)
    if attempts_seconds is not None and attempts_seconds > step_seconds + stall_seconds:
        parts.append(("start-up, evaluation, steps made again", "var(--ink-faint)", attempts_seconds - step_seconds - stall_seconds))
    total = sum(seconds for _, _, seconds in parts)
    return [TimePart(name=name, color=color, seconds=seconds, share=seconds / total) for name, color, seconds in parts if seconds > 0]


def _attempts_seconds(attempts: Sequence[Attempt]) -> float | None:
    """From start to stop, over all attempts; none when the end of one is not known."""
    seconds = 0.0
    for attempt in attempts:
        if attempt.stopped is None:
            return None
        seconds += (datetime.fromisoformat(attempt.stopped) - datetime.fromisoformat(attempt.started)).total_seconds()
    return seconds
