"""The frontier as the page's script takes it: points with their intervals in percent, and every text that is shown about them."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.frontier.estimates import Estimate, Frontier, Point
from orchestrator.frontier.trials import Value
from orchestrator.report.looks import ROOM, layout, numbers
from orchestrator.report.sweep.quantities import ends, estimate_in_words, points_in_words, share_in_words, tokens_in_words, value_in_words
from orchestrator.report.sweep.records import SweepRecords
from orchestrator.report.sweep.settings import CONTROL, UNTRAINED, Names, names_of
from orchestrator.report.wording import listed, percent

MEAN = ""  # the choice of all general sources together; no source has an empty name
UPTAKE = ""  # the choice of the spec's held-out loss along the picture; no probe has an empty name
_MOST_LABELS = 14  # more settings have a label only where they are on the front


def frontier_values(records: SweepRecords, frontier: Frontier) -> dict[str, Any]:
    """What the script draws the frontier from.

    Returns:
        `points`, in the frontier's order, each with its coordinates (value, how far its interval goes down and up) and its texts;
        `keys`, by which points can be coloured, each with the value of every point; `knee`, `front` and `limit`; the plotly `layout`.
    """
    names = names_of(records)
    index = {trial.trial_id: number for number, trial in enumerate(records.trials)}
    labelled = len(frontier.points) <= _MOST_LABELS
    limit = frontier.limit
    return {
        "points": [_point(point, names, index, labelled) for point in frontier.points],
        "keys": [_key(key, name, frontier.points) for key, name in names.keys.items()],
        "knee": frontier.knee.point if frontier.knee else None,
        "limit": None if limit is None else {"y": 100 * limit.max_forgetting, "text": f"limit {share_in_words(limit.max_forgetting)}"},
        "layout": _layout(),
    }


def forgotten_sources(frontier: Frontier, roles: Mapping[str, str]) -> list[str]:
    """The general sources whose forgetting every point has, in the configuration's order."""
    return [name for name in roles if all(name in point.forgetting_by_source for point in frontier.points)]


def _point(point: Point, names: Names, index: Mapping[str, int], labelled: bool) -> dict[str, Any]:
    xs, ys = {UPTAKE: point.uptake, **point.probes}, {MEAN: point.forgetting, **point.forgetting_by_source}
    return {
        "arm": point.arm,
        "name": names.full(point.arm, point.setting),
        "label": names.short(point.arm, point.setting) if labelled or point.is_on_front else "",
        "x": {gain: _coordinate(estimate) for gain, estimate in xs.items()},
        "y": {source: _coordinate(estimate) for source, estimate in ys.items()},
        "facts": _facts(point, names),
        "gain": {gain: _gain(gain, estimate) for gain, estimate in xs.items()},
        "forgetting": {source: _forgetting(source, estimate) for source, estimate in ys.items()},
        "front": point.is_on_front,
        "trials": [index[trial] for trial in point.trials],
    }


def _coordinate(estimate: Estimate) -> list[float]:
    """The value in percent, and how far the interval goes below and above it."""
    low, high = ends(estimate)
    return numbers([100 * estimate.value, 100 * (estimate.value - low), 100 * (high - estimate.value)])


def _gain(probe: str, estimate: Estimate) -> str:
    return f"probe {probe} {points_in_words(estimate)} points" if probe else f"uptake {estimate_in_words(estimate)}"


def _forgetting(source: str, estimate: Estimate) -> str:
    return f"forgetting{f' of {source}' if source else ''} {estimate_in_words(estimate)}"


def _facts(point: Point, names: Names) -> list[str]:
    """What else is said of a point, a line each."""
    if point.arm == UNTRAINED:
        return ["where every trial begins"]
    seeds = f"{'seed' if len(point.trials) == 1 else 'seeds'} {listed(names.of_seeds(point).split(', '))}"
    epochs = "without the spec" if point.arm == CONTROL else f"{point.spec_epochs:.2f} epochs of the spec"
    often = percent(point.front_share, 0)
    front = f"on the front, as in {often} of draws" if point.is_on_front else f"not on the front; in {often} of draws it is"
    return [seeds, f"{tokens_in_words(point.total_tokens)} tokens, {epochs}", front]


def _key(key: str, name: str, points: Sequence[Point]) -> dict[str, Any]:
    """A key that points can be coloured by: numbers on a scale, other values, null among them, one by one. Points without it have none."""
    has_it = [point.arm == "spec" and key in point.setting for point in points]
    values = [point.setting[key] if has else None for point, has in zip(points, has_it, strict=True)]
    texts = [value_in_words(key, value) if has else None for value, has in zip(values, has_it, strict=True)]
    is_scale = all(_is_number(value) for value, has in zip(values, has_it, strict=True) if has)
    return {"name": name, "scale": is_scale, "values": values if is_scale else texts, "texts": texts}


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _layout() -> dict[str, Any]:
    axis = {"ticksuffix": " %", "zeroline": True, "zerolinewidth": 1, "nticks": 8}
    along = {"title": {"text": "uptake of the spec", "standoff": 8}, "showgrid": True, "ticks": ""}
    picture = layout(axis | along, axis | {"title": {"text": "forgetting", "standoff": 6}})
    picture["hoverlabel"]["align"] = "left"
    return picture | {"hovermode": "closest", "hoverdistance": 24, "margin": ROOM}
