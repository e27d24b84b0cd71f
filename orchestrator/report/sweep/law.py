"""The mixing law as pictures and as a table: what it says of each share, and how far it is off what was measured."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.frontier.estimates import Frontier, MixingLaw, Point, Repetition
from orchestrator.frontier.trials import Floats
from orchestrator.report.looks import ROOM, Chart, Style, layout, legend, numbers, styles_of
from orchestrator.report.sweep.quantities import ends, estimate_in_words, shares_in_words
from orchestrator.report.sweep.records import SweepRecords, TrialRecord
from orchestrator.report.wording import number

_NAME = "%{fullData.name}"  # plotly fills it in


@dataclass(frozen=True, kw_only=True, slots=True)
class LawRow:
    """A source's law, ready to be shown."""

    source: str
    c: str
    k: str
    t: str
    rmse: str
    left_out: str


def law_charts(records: SweepRecords, frontier: Frontier) -> Iterator[Chart]:
    """Held-out loss after training over the spec share, against the base model: of the spec's sources, and of the general ones.

    Args:
        records: what was measured.
        frontier: with the law.
    """
    if frontier.law is None:
        return
    trials = {trial.trial_id: trial for trial in records.trials}
    for chart_id, is_spec, what in (("law-spec", True, "the spec"), ("law-general", False, "general text")):
        styles = [style for style in styles_of(records.roles) if style.is_spec == is_spec and style.name in frontier.law.sources]
        shown = [style for style in reversed(styles) if _before(style.name, trials.values()) is not None]
        if not shown:
            continue
        points = [frontier.points[index] for index in frontier.law.points]
        data = [trace for style in shown for trace in _traces(style, frontier.law, points, trials)]
        label = f"Line chart: change of the held-out loss of {what} over the spec share, fitted and measured. {_optimum(frontier.law)}"
        yield Chart(chart_id=chart_id, label=label, data=data, layout=_layout(frontier.law), keys=legend(shown, 2))


def law_rows(law: MixingLaw) -> list[LawRow]:
    """The parameters of each source, and how far its curve is off."""
    return [
        LawRow(
            source=name,
            c=number(fit.c, 3),
            k=number(fit.k, 3),
            t=number(fit.t, 2),
            rmse=number(fit.rmse, 4),
            left_out="\N{EN DASH}" if fit.left_out_error is None else number(fit.left_out_error, 4),
        )
        for name, fit in law.sources.items()
    ]


def law_sentence(law: MixingLaw) -> str:
    """Where the law says that the best share is."""
    if law.optimum is None:
        return "The law has no best share within those that were tried."
    return f"{_optimum(law)} It counts the relative loss of the spec and that of general text as equally much worth."


def repetition_sentence(repetition: Repetition) -> str:
    """What passing over the spec twice as often does at the same share."""
    uptake, forgetting = repetition.uptake_per_doubling, repetition.forgetting_per_doubling
    if uptake is None or forgetting is None:
        return "The effect of repetition apart from the ratio is not known."
    changes = f"uptake by {estimate_in_words(uptake)} and forgetting by {estimate_in_words(forgetting)}"
    return f"At the same spec share, passing over the spec twice as often changes {changes}."


def _optimum(law: MixingLaw) -> str:
    return "" if law.optimum is None else f"Uptake less forgetting is largest at a spec share of {shares_in_words(law.optimum)}."


def _traces(style: Style, law: MixingLaw, points: Sequence[Point], trials: Mapping[str, TrialRecord]) -> list[dict[str, Any]]:
    fit, before = law.sources[style.name], _before(style.name, trials.values())
    assert before is not None
    measured = [(point.spec_share, after) for point in points if (after := _after(style.name, point, trials)) is not None]
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": style.escaped_name,
        "x": numbers([100 * share for share in fit.shares]),
        "y": numbers([100 * (loss / before - 1) for loss in fit.losses]),
        "line": {"color": style.color, "width": style.width, "dash": style.dash},
        "hovertemplate": _NAME + ", law: %{y:+.2f} % at %{x:.3g} %<extra></extra>",
    }
    dots = {
        "type": "scatter",
        "mode": "markers",
        "cliponaxis": False,
        "name": style.escaped_name,
        "x": numbers([100 * share for share, _ in measured]),
        "y": numbers([100 * (after / before - 1) for _, after in measured]),
        "marker": {"color": style.color, "size": 8, "line": {"color": "var(--surface)", "width": 1}},
        "hovertemplate": _NAME + ", measured: %{y:+.2f} % at %{x:.3g} %<extra></extra>",
    }
    return [line, dots]


def _before(source: str, trials: Iterable[TrialRecord]) -> float | None:
    """The mean of a source's held-out loss before the first step, over trials."""
    losses = [series[0] for series in _heldout(source, trials)]
    return float(np.mean(losses)) if losses else None


def _after(source: str, point: Point, trials: Mapping[str, TrialRecord]) -> float | None:
    """The mean of a source's last held-out loss, over a setting's trials."""
    losses = [series[-1] for series in _heldout(source, [trials[trial] for trial in point.trials])]
    return float(np.mean(losses)) if losses else None


def _heldout(source: str, trials: Iterable[TrialRecord]) -> Iterator[Floats]:
    """The held-out losses of a source in those trials that have measured it."""
    for trial in trials:
        if trial.curves is not None and len(trial.curves.heldout.get(source, ())):
            yield trial.curves.heldout[source]


def _layout(law: MixingLaw) -> dict[str, Any]:
    along = {"title": {"text": "spec share", "standoff": 8}, "ticksuffix": " %", "rangemode": "tozero"}
    shapes = []
    if law.optimum is not None:
        middle, low, high = (100 * share for share in (law.optimum.value, *ends(law.optimum)))
        area = {"type": "rect", "yref": "paper", "y0": 0, "y1": 1, "x0": low, "x1": high}
        shapes.append(area | {"fillcolor": "var(--band)", "line": {"width": 0}, "layer": "below"})
        stroke = {"color": "var(--ink-faint)", "width": 1, "dash": "dot"}
        shapes.append({"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": middle, "x1": middle, "line": stroke, "layer": "below"})
    return layout(along, {"ticksuffix": " %", "zeroline": True}) | {"hovermode": "closest", "shapes": shapes, "margin": ROOM}
