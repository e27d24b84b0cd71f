"""The pictures of a run's page as plotly figures, in plain values."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from orchestrator.report.looks import Chart, Style, legend, numbers, step_layout
from orchestrator.report.summary import HeldoutChange, compare
from orchestrator.report.thinning import bucket_starts, farthest_of_each, last_of_each, mean_of_each, smooth
from orchestrator.report.timeline import Evaluation, Floats, Ints, Timeline, first_measured
from orchestrator.report.wording import change_in_words

_MOST_POINTS = 800  # of a line
_MOST_POINTS_OF_A_CHART = 12_000
_MOST_SPANS = 150
_SMOOTH_SHARE = 1 / 20  # of the shown run, on both sides of a point
_NAME = "%{fullData.name}"  # plotly fills it in
SPEC_LIMIT_SEQUENCES, LIMIT_SEQUENCES = 1, 2  # that the spec, and any source, may be off the planned share


def heldout_chart(evaluations: Sequence[Evaluation], styles: Sequence[Style]) -> Chart:
    """The relative change of the held-out loss since before the first step, by source."""
    first = first_measured(evaluations)
    shown = [style for style in reversed(styles) if style.name in first.losses]  # the first source lies on top
    data, ends = [], []
    for style in shown:
        name, before, documents = style.name, first.losses[style.name], first.documents.get(style.name)
        measured = [evaluation for evaluation in evaluations if name in evaluation.losses]
        changes = [compare(before, e.losses[name], documents=documents, role="", step=e.step) for e in measured]
        data.append(_change_trace(style, changes))
        ends.append(f"{name} {change_in_words(changes[-1], signed=True)}")
    label = f"Line chart: change of held-out loss by source over steps. At step {evaluations[-1].step}: {', '.join(reversed(ends))}."
    layout = step_layout(evaluations[-1].step, ticksuffix=" %")
    return Chart(chart_id="heldout", label=label, data=data, layout=layout, keys=legend(shown, 1))


def _change_trace(style: Style, changes: Sequence[HeldoutChange]) -> dict[str, Any]:
    errors = [100 * (change.change_stderr or 0) for change in changes]
    return {
        **_line(style, [change.step for change in changes], [100 * change.change for change in changes]),
        "mode": "lines+markers",
        "marker": {"size": 8 if style.is_spec else 6, "color": style.color},
        "error_y": {"type": "data", "array": numbers(errors), "thickness": 1.25, "width": 4, "color": style.color},
        "customdata": [[change_in_words(change, signed=True), f"{change.after:.4f}"] for change in changes],
        "hovertemplate": _NAME + " %{customdata[0]}, loss %{customdata[1]}<extra></extra>",
    }


def loss_chart(timeline: Timeline, styles: Sequence[Style]) -> Chart:
    """The training loss by source: each logged interval as a thin line, and its moving mean."""
    starts = bucket_starts(len(timeline.steps), _most_points(3 * len(styles)))
    steps = last_of_each(timeline.steps.astype(np.float64), starts)
    data: list[dict[str, Any]] = []
    shown = []
    for index, style in reversed(list(enumerate(styles))):
        weights = timeline.interval_tokens[:, index].astype(np.float64)
        if not weights.any():
            continue
        raw = mean_of_each(timeline.losses[:, index], weights, starts)
        seen = ~np.isnan(raw)
        mean = smooth(raw, np.add.reduceat(weights, starts), round(len(starts) * _SMOOTH_SHARE))
        thin = _line(style, steps[seen], raw[seen]) | {"opacity": 0.3, "hoverinfo": "skip"}
        thin["line"] = {"color": style.color, "width": 1}
        data += [thin, _line(style, steps[seen], mean[seen]) | {"hovertemplate": _NAME + " %{y:.4f}<extra></extra>"}]
        shown.append(style)
    label = f"Line chart: training loss by source over {timeline.steps[-1]} steps, in nats a token, with its moving mean."
    return Chart(chart_id="loss", label=label, data=data, layout=step_layout(steps[-1]), keys=legend(shown, 2))


def deviation_chart(timeline: Timeline, off: Floats, styles: Sequence[Style]) -> Chart:
    """How many sequences each source was off its planned share, with the band that a spec source must stay in.

    Args:
        timeline: of the run.
        off: (n, s) deviations in sequences.
        styles: of the s sources.
    """
    starts = bucket_starts(len(off), _MOST_SPANS)
    steps = last_of_each(timeline.steps.astype(np.float64), starts)
    shown = list(reversed(styles))
    data = [trace for style, values in zip(shown, off.T[::-1], strict=True) for trace in _span_traces(style, steps, values, starts)]
    reach = max(LIMIT_SEQUENCES, float(np.abs(off).max())) * 1.1
    layout = step_layout(steps[-1], range=numbers([-reach, reach]), dtick=1)
    layout["shapes"] = [_band(SPEC_LIMIT_SEQUENCES), *(_rule(sign * LIMIT_SEQUENCES) for sign in (-1, 1))]
    most = ", ".join(f"{style.name} {np.abs(off[:, i]).max():.2f}" for i, style in enumerate(styles))
    label = f"Line chart: sequences of each source trained beyond its planned share, over steps. Largest distance from zero: {most}."
    return Chart(chart_id="deviation", label=label, data=data, layout=layout, keys=legend(shown, 2))


def _span_traces(style: Style, steps: Floats, values: Floats, starts: Ints) -> list[dict[str, Any]]:
    """The least and the largest value of each bucket, of the spec with the area between; where a bucket is a point, that is one line."""
    least, largest = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    lower = _line(style, steps, least) | {"hoverinfo": "skip"}
    upper = _line(style, steps, largest) | {
        "fill": "tonexty" if style.is_spec else "none",
        "customdata": [[low] for low in numbers(least)],
        "hovertemplate": _NAME + " %{customdata[0]:+.2f} to %{y:+.2f} sequences<extra></extra>",
    }
    for trace in (lower, upper):
        trace["line"] = trace["line"] | {"width": style.width / 2, "dash": "solid"}
    return [lower, upper]


def learning_rate_chart(timeline: Timeline) -> Chart:
    """The learning rate over steps."""
    label = f"Line chart: learning rate over steps, at most {timeline.learning_rate.max():.3g}."
    return _single_chart("learning-rate", label, timeline, timeline.learning_rate, exponentformat="e", rangemode="tozero")


def gradient_norm_chart(timeline: Timeline) -> Chart:
    """The gradient norm over steps."""
    norms = timeline.gradient_norm
    label = f"Line chart: gradient norm before clipping over steps, from {norms.min():.3g} to {norms.max():.3g}."
    return _single_chart("gradient-norm", label, timeline, norms, rangemode="tozero")


def _single_chart(chart_id: str, label: str, timeline: Timeline, values: Floats, **y_axis: Any) -> Chart:
    starts = bucket_starts(len(values), _MOST_POINTS)
    steps = last_of_each(timeline.steps.astype(np.float64), starts)
    style = Style(name="", color="var(--ink-soft)", dash="solid", is_spec=False)
    line = _line(style, steps, farthest_of_each(values, starts)) | {"hovertemplate": "%{y:.4g}<extra></extra>"}
    return Chart(chart_id=chart_id, label=label, data=[line], layout=step_layout(steps[-1], **y_axis))


def _line(style: Style, steps: Sequence[float] | Floats, values: Sequence[float] | Floats) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines" if len(steps) > 1 else "markers",
        "name": style.escaped_name,
        "x": [int(step) for step in steps],
        "y": numbers(values),
        "line": {"color": style.color, "width": style.width, "dash": style.dash},
        "marker": {"color": style.color},
    }


def _band(half: float) -> dict[str, Any]:
    area = {"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "y0": -half, "y1": half}
    return area | {"fillcolor": "var(--band)", "line": {"width": 0}, "layer": "below"}


def _rule(height: float) -> dict[str, Any]:
    line = {"color": "var(--ink-faint)", "width": 1, "dash": "dot"}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": height, "y1": height, "line": line, "layer": "below"}


def _most_points(num_lines: int) -> int:
    return max(50, min(_MOST_POINTS, _MOST_POINTS_OF_A_CHART // num_lines))
