"""The frontier as pictures for a paper, by matplotlib: the same bytes for the same sweep."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter
from matplotlib.transforms import Bbox

from orchestrator.frontier.estimates import Estimate, Frontier, Point
from orchestrator.frontier.trials import Value
from orchestrator.report.sweep.quantities import ends, share_in_words, value_in_words
from orchestrator.report.sweep.records import SweepRecords
from orchestrator.report.sweep.settings import CONTROL, UNTRAINED, Names, front_of, names_of

_WIDTH, _HEIGHT, _DPI = 5.5, 4.0, 300  # inches, dots an inch
_INK, _SOFT, _FAINT, _GRID = "#1b1f24", "#4d5661", "#8b949e", "#e6e8eb"
_VERMILION = "#d55e00"  # this and the next of Okabe and Ito's palette
_LOOKS = (("#0072b2", "o"), ("#e69f00", "s"), ("#009e73", "^"), ("#cc79a7", "v"), ("#56b4e9", "p"), ("#1b1f24", "P"))
_MOST_LABELS = 14  # more settings have a label only where they are on the front
_SIDES = ((6, -6, "left", "top"), (-6, 6, "right", "bottom"), (6, 6, "left", "bottom"), (-6, -6, "right", "top"))  # of a point, in points
_HALO = withStroke(linewidth=2, foreground="white")  # lines end where a name begins
_STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that pictures do not depend on the machine
    "font.size": 8,
    "axes.edgecolor": _FAINT,
    "axes.linewidth": 0.6,
    "axes.labelcolor": _INK,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "text.parse_math": False,  # names are of the user, who may have a dollar in them
    "svg.hashsalt": "midtrain",
    "svg.fonttype": "path",
}


def write_pictures(records: SweepRecords, directory: Path) -> list[Path]:
    """Draw uptake against forgetting: each setting with its interval of 90 %, the front, the knee, the limit.

    Args:
        records: the sweep.
        directory: that exists; `frontier.png` and `frontier.svg` are written there.

    Returns:
        What was written: nothing while there is no frontier; pictures of an earlier one are then removed.
    """
    png, svg = directory / "frontier.png", directory / "frontier.svg"
    if records.frontier is None:
        png.unlink(missing_ok=True)
        svg.unlink(missing_ok=True)
        return []
    with matplotlib.rc_context(_STYLE):
        figure = _draw(records.frontier, names_of(records))
        figure.savefig(png, dpi=_DPI, metadata={"Software": None})
        figure.savefig(svg, metadata={"Date": None, "Creator": None})
    return [png, svg]


def _draw(frontier: Frontier, names: Names) -> Figure:
    figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    _set_up(axes)
    looks = _looks(frontier.points, list(names.keys))
    handles = list(_draw_front(axes, frontier))
    kinds = {kind: _look(point, looks, list(names.keys)) for point in frontier.points for kind in [_kind(point, names, looks)]}
    for point in sorted(frontier.points, key=lambda point: point.is_on_front):
        _draw_point(axes, point, _look(point, looks, list(names.keys)))
    handles += [Line2D([], [], label=kind, linestyle="none", **look) for kind, look in kinds.items()]
    _add_legend(figure, handles)
    _label(axes, frontier, names)
    return figure


def _add_legend(figure: Figure, handles: Sequence[Line2D]) -> None:
    """Below the picture, in as many columns as there is room for. Where everything lies is known from then on."""
    for columns in (4, 3, 2, 1):
        legend = figure.legend(
            handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=7, labelcolor=_SOFT, handletextpad=0.5
        )
        figure.draw_without_rendering()
        if columns == 1 or legend.get_window_extent().width < 0.97 * figure.bbox.width:
            return
        legend.remove()


def _set_up(axes: Axes) -> None:
    axes.grid(color=_GRID, linewidth=0.5)
    axes.axhline(0, color=_FAINT, linewidth=0.5, zorder=1)
    axes.axvline(0, color=_FAINT, linewidth=0.5, zorder=1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.margins(0.07)
    axes.set_xlabel("uptake: fall of the spec\N{RIGHT SINGLE QUOTATION MARK}s held-out loss")
    axes.set_ylabel("forgetting: rise of general held-out loss")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda percent, _: f"{percent:g} %".replace("-", "\N{MINUS SIGN}")))


def _looks(points: Sequence[Point], keys: Sequence[str]) -> Mapping[Value, tuple[str, str]]:
    """A colour and a mark for each value of the second key; none where it does not vary, or has more values than there are looks."""
    found = {point.setting.get(keys[1]) for point in points if point.arm == "spec"} if len(keys) > 1 else set()
    values = sorted(found, key=lambda value: (isinstance(value, str), value if isinstance(value, int | float) else 0, str(value)))
    return dict(zip(values, _LOOKS, strict=False)) if 1 < len(values) <= len(_LOOKS) else {}


def _kind(point: Point, names: Names, looks: Mapping[Value, tuple[str, str]]) -> str:
    """What a point is called in the legend."""
    if point.arm == UNTRAINED:
        return "base model"
    if point.arm == CONTROL:
        return "control, without the spec"
    if not looks:
        return "a setting with the spec"
    key, name = list(names.keys.items())[1]
    return f"{name} {value_in_words(key, point.setting.get(key))}"


def _look(point: Point, looks: Mapping[Value, tuple[str, str]], keys: Sequence[str]) -> dict[str, Any]:
    """How a point is drawn: filled on the front."""
    if point.arm == UNTRAINED:
        return {"marker": "x", "color": _INK, "markersize": 6, "markeredgewidth": 1.3}
    color, marker = (_INK, "D") if point.arm == CONTROL else looks[point.setting.get(keys[1])] if looks else _LOOKS[0]
    inside = color if point.is_on_front else "white"
    size = 5 if marker == "D" else 6
    return {"marker": marker, "color": color, "markerfacecolor": inside, "markersize": size, "markeredgewidth": 1.1}


def _draw_point(axes: Axes, point: Point, look: Mapping[str, Any]) -> None:
    x, y = _place(point)
    if point.trials:
        axes.hlines(y, *_span(point.uptake), color=_SOFT, linewidth=0.7, alpha=0.55, zorder=3)
        axes.vlines(x, *_span(point.forgetting), color=_SOFT, linewidth=0.7, alpha=0.55, zorder=3)
    axes.plot([x], [y], linestyle="none", zorder=5 if point.is_on_front else 4, **look)


def _draw_front(axes: Axes, frontier: Frontier) -> Iterator[Line2D]:
    """The front, the knee and the limit, as far as they are known; what the legend has of them."""
    front = [_place(frontier.points[index]) for index in front_of(frontier)]
    yield from axes.plot(*zip(*front, strict=True), color=_FAINT, linewidth=1, zorder=2, label="Pareto front (filled)")
    if frontier.knee:
        ring: dict[str, Any] = {
            "marker": "o",
            "markersize": 12,
            "markerfacecolor": "none",
            "markeredgecolor": _VERMILION,
            "markeredgewidth": 1.4,
        }
        yield from axes.plot(*_place(frontier.points[frontier.knee.point]), linestyle="none", zorder=6, label="knee", **ring)
    if frontier.limit:
        most = frontier.limit.max_forgetting
        label = f"limit of {share_in_words(most)}"
        yield axes.axhline(100 * most, label=label, color=_VERMILION, linewidth=0.8, linestyle=(0, (5, 3)), zorder=1)


def _place(point: Point) -> tuple[float, float]:
    return 100 * point.uptake.value, 100 * point.forgetting.value


def _span(estimate: Estimate) -> tuple[float, float]:
    low, high = ends(estimate)
    return 100 * low, 100 * high


def _label(axes: Axes, frontier: Frontier, names: Names) -> None:
    """Names beside points, the knee's first, where they cover no point and no other name; those that find no place are left out."""
    few, knee = len(frontier.points) <= _MOST_LABELS, frontier.knee.point if frontier.knee else None
    order = sorted(range(len(frontier.points)), key=lambda index: (index != knee, not frontier.points[index].is_on_front))
    taken = [_box(axes, frontier.points[index]) for index in order]
    for index in order:
        point = frontier.points[index]
        if few or point.is_on_front:
            taken += _label_one(axes, point, names.short(point.arm, point.setting), taken)


def _label_one(axes: Axes, point: Point, text: str, taken: Sequence[Bbox]) -> list[Bbox]:
    """Write a name on the first side of its point that is free; returns what it covers."""
    inside = axes.get_window_extent()
    for dx, dy, horizontal, vertical in _SIDES:
        style: dict[str, Any] = {"fontsize": 7, "color": _SOFT, "ha": horizontal, "va": vertical, "zorder": 7}
        label = axes.annotate(text, _place(point), xytext=(dx, dy), textcoords="offset points", path_effects=[_HALO], **style)
        label.set_in_layout(False)
        box = label.get_window_extent()
        if inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and not any(box.overlaps(other) for other in taken):
            return [box]
        label.remove()
    return []


def _box(axes: Axes, point: Point) -> Bbox:
    """What a point's mark covers, in dots."""
    x, y = axes.transData.transform(_place(point))
    half = 3.5 * _DPI / 72
    return Bbox.from_extents(x - half, y - half, x + half, y + half)
