"""How charts look, on every page: sources, axes, legends. Colours are names of the pages' own, so that they follow light and dark."""

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.mixture.plan import PlannedSource
from orchestrator.report.timeline import Floats

_GENERAL_COLOURS, _DASHES = 5, ("solid", "dash", "dot", "dashdot")
ROOM = {"l": 60, "r": 12, "t": 22, "b": 52}  # margins that usual axes fit into: without, plotly measures them and draws a chart twice
_WHOLE_TICKS = 8  # a shorter run needs to be told that steps are whole


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """How a source looks, the same in all charts and tables.

    Attributes:
        name: the source's.
        color: a custom property of the page's style sheet, as `var(--…)`.
        dash: of its lines.
        is_spec: whether it has the role spec; its lines are bold.
    """

    name: str
    color: str
    dash: str
    is_spec: bool

    @property
    def width(self) -> float:
        """Of its lines, in pixels."""
        return 3.0 if self.is_spec else 1.75

    @property
    def escaped_name(self) -> str:
        """The name as plotly takes it."""
        return escaped(self.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """An entry of a chart's legend: a source, and the indices of the traces that it shows and hides."""

    style: Style
    traces: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """A picture.

    Attributes:
        chart_id: on the page.
        label: what it shows, in words.
        data, layout: of the plotly figure.
        keys: its legend; empty when it has one line only.
    """

    chart_id: str
    label: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]
    keys: tuple[Key, ...] = ()


def source_styles(sources: Sequence[PlannedSource]) -> list[Style]:
    """A look for each source of a plan."""
    return styles_of({source.name: source.role for source in sources})


def styles_of(roles: Mapping[str, str]) -> list[Style]:
    """A look for each source: spec sources vermilion and bold, the others in the further colours, then in dashes, in order.

    Args:
        roles: source -> its role.
    """
    counts = {True: 0, False: 0}
    styles = []
    for name, role in roles.items():
        is_spec = role == "spec"
        index = counts[is_spec]
        counts[is_spec] += 1
        color = "var(--spec)" if is_spec else f"var(--general-{index % _GENERAL_COLOURS})"
        dash = _DASHES[(index if is_spec else index // _GENERAL_COLOURS) % len(_DASHES)]
        styles.append(Style(name=name, color=color, dash=dash, is_spec=is_spec))
    return styles


def layout(x_axis: Mapping[str, Any], y_axis: Mapping[str, Any]) -> dict[str, Any]:
    """The layout of a chart.

    Args:
        x_axis, y_axis: what its axes have beyond what all have.
    """
    rule = "var(--rule)"
    axis = {"gridcolor": "var(--grid)", "linecolor": rule, "zerolinecolor": rule, "tickcolor": rule, "automargin": True}
    return {
        "autosize": True,
        "margin": {"l": 8, "r": 12, "t": 22, "b": 8},
        "showlegend": False,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "var(--ink-soft)", "size": 12},
        "hoverlabel": {"bgcolor": "var(--surface)", "bordercolor": "var(--rule)", "font": {"color": "var(--ink)"}, "namelength": -1},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "var(--ink-faint)", "activecolor": "var(--ink)"},
        "xaxis": axis | {"showgrid": False, "zeroline": False, "ticks": "outside"} | dict(x_axis),
        "yaxis": axis | dict(y_axis),
    }


def step_layout(last: float, **y_axis: Any) -> dict[str, Any]:
    """The layout of a chart over steps: all lines are read at once where the pointer is.

    Args:
        last: of the steps shown.
        y_axis: what it has beyond what all have.
    """
    along: dict[str, Any] = {"title": {"text": "step", "standoff": 8}, "range": [-0.02 * last, 1.02 * last]}
    spike = {"spikecolor": "var(--ink-faint)", "spikethickness": 1, "spikedash": "solid"}
    if last < _WHOLE_TICKS:
        along["dtick"] = 1
    return layout(along | spike | {"separatethousands": True, "exponentformat": "none"}, y_axis) | {
        "hovermode": "x unified",
        "hoverdistance": -1,
    }


def legend(shown: Sequence[Style], traces_each: int) -> tuple[Key, ...]:
    """The legend of traces that come in groups of so many, the last group first."""

    def entries() -> Iterator[Key]:
        for index, style in enumerate(shown):
            yield Key(style=style, traces=tuple(range(index * traces_each, (index + 1) * traces_each)))

    return tuple(reversed(list(entries())))


def numbers(values: Sequence[float] | Floats) -> list[float]:
    """Values as a page carries them: plain, with five significant digits."""
    return [float(f"{value:.5g}") for value in values]


def escaped(text: str) -> str:
    """A text as plotly takes it, which reads tags in texts."""
    return html.escape(text, quote=False)
