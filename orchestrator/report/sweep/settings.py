"""The settings of a sweep: what they are called, and which belong together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.frontier.estimates import Estimate, Frontier, Limit, Point
from orchestrator.frontier.trials import Value
from orchestrator.report.frame import NONE
from orchestrator.report.sweep.cells import Cell, setting_cell
from orchestrator.report.sweep.quantities import (
    ends,
    estimate_digits,
    interval_in_words,
    key_names,
    points,
    setting_in_words,
    short_setting,
    tokens_in_words,
)
from orchestrator.report.sweep.records import SweepRecords
from orchestrator.report.wording import percent

UNTRAINED, CONTROL = "untrained", "control"


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """What settings are called in a sweep.

    Attributes:
        keys: key -> its name, in the order of the command.
        seeds: trial -> its seed.
    """

    keys: Mapping[str, str]
    seeds: Mapping[str, int]

    def full(self, arm: str, setting: Mapping[str, Value]) -> str:
        """Such as `spec share 10 %` or `control, total tokens 40 M`."""
        if arm == UNTRAINED:
            return "untrained base model"
        words = setting_in_words(setting, self.keys)
        return (f"{CONTROL}, {words}" if words else CONTROL) if arm == CONTROL else words or "the spec"

    def short(self, arm: str, setting: Mapping[str, Value]) -> str:
        """Such as `10 %`, for where there is little room."""
        if arm == UNTRAINED:
            return "base model"
        words = short_setting(setting, self.keys)
        return (f"{CONTROL} · {words}" if words else CONTROL) if arm == CONTROL else words or "the spec"

    def of_seeds(self, point: Point) -> str:
        """Such as `1, 2`."""
        return ", ".join(str(self.seeds[trial]) for trial in point.trials)


@dataclass(frozen=True, slots=True)
class Figure:
    """An estimate in a table: its value and its interval, in columns of their own, and what it is sorted by."""

    value: Cell
    interval: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A line of the table of settings, ready to be shown.

    Attributes:
        arm: for its mark.
        name: in the first column.
        values: of each varied key that the first column does not tell.
        figures: uptake, the same over control, forgetting, the same over control, and the change of each probe in percentage points.
        counts: seeds, tokens of the spec, epochs of it, all tokens.
        front: the share of draws in which it is on the front.
        is_knee, is_on_front: how it is marked.
        within: how it stands to the limit: `within`, `over`, `unclear` or none.
    """

    arm: str
    name: Cell
    values: Sequence[Cell]
    figures: Sequence[Figure]
    counts: Sequence[Cell]
    front: Cell
    is_knee: bool
    is_on_front: bool
    within: str | None


def names_of(records: SweepRecords) -> Names:
    """What the settings of a sweep are called."""
    return Names(keys=key_names(records.keys), seeds={trial.trial_id: trial.seed for trial in records.trials})


def setting_rows(frontier: Frontier, names: Names, probes: Sequence[str]) -> list[Row]:
    """The table of settings, in the frontier's order.

    Args:
        frontier: of the sweep.
        names: of its settings.
        probes: in the order of their columns.
    """
    digits = [estimate_digits([getattr(point, which) for point in frontier.points]) for which in ("uptake", "forgetting")]
    knee = frontier.knee.point if frontier.knee else None
    rows = [_row(point, names, digits, frontier.limit, index == knee) for index, point in enumerate(frontier.points)]
    return [replace(row, figures=[*row.figures, *figures]) for row, figures in zip(rows, _probe_figures(frontier, probes), strict=True)]


def _probe_figures(frontier: Frontier, probes: Sequence[str]) -> list[list[Figure]]:
    """For each point, those of its probes."""
    digits = {probe: estimate_digits([point.probes[probe] for point in frontier.points if probe in point.probes]) for probe in probes}
    return [[_figure(point.probes.get(probe), digits[probe], points) for probe in probes] for point in frontier.points]


def _row(point: Point, names: Names, digits: Sequence[int], limit: Limit | None, is_knee: bool) -> Row:
    first, *others = list(names.keys) or [""]
    is_spec = point.arm not in (UNTRAINED, CONTROL)
    of_uptake, of_forgetting = digits
    spec_tokens = point.spec_share * point.total_tokens
    return Row(
        arm=point.arm,
        name=setting_cell(first, point.setting) if first in point.setting else Cell(names.short(point.arm, {}), None),
        values=[setting_cell(key, point.setting) for key in others],
        figures=[
            _figure(point.uptake, of_uptake),
            _figure(point.uptake_over_control, of_uptake),
            _figure(point.forgetting, of_forgetting),
            _figure(point.forgetting_over_control, of_forgetting),
        ],
        counts=[
            Cell(names.of_seeds(point) or NONE, len(point.trials)),
            Cell(tokens_in_words(spec_tokens), round(spec_tokens)) if is_spec else Cell(NONE, None),
            Cell(f"{point.spec_epochs:.2f}", point.spec_epochs) if is_spec else Cell(NONE, None),
            Cell(tokens_in_words(point.total_tokens), round(point.total_tokens)) if point.trials else Cell(NONE, None),
        ],
        front=Cell(percent(point.front_share, 0), point.front_share),
        is_knee=is_knee,
        is_on_front=point.is_on_front,
        within=stands_to(point, limit) if limit and is_spec else None,
    )


def _figure(estimate: Estimate | None, digits: int, words: Callable[[float, int], str] = percent) -> Figure:
    if estimate is None:
        return Figure(Cell(NONE, None), "")
    return Figure(Cell(words(estimate.value, digits), float(f"{estimate.value:.5g}")), interval_in_words(estimate, digits))


def stands_to(point: Point, limit: Limit) -> str:
    """`within` or `over` the limit, or `unclear` where the interval of the point's forgetting holds the limit itself."""
    low, high = ends(point.forgetting)
    return "within" if high <= limit.max_forgetting else "over" if low > limit.max_forgetting else "unclear"


def control_of(point: Point, points: Sequence[Point]) -> Point | None:
    """The control that was trained on as many tokens with the same values of its keys; none when there is no such."""
    for other in points:
        same = all(point.setting.get(key) == value for key, value in other.setting.items())
        if other.arm == CONTROL and same and round(other.total_tokens) == round(point.total_tokens):
            return other
    return None


def front_of(frontier: Frontier) -> list[int]:
    """The points of the front by uptake, as indices."""
    on_front = [index for index, point in enumerate(frontier.points) if point.is_on_front]
    return sorted(on_front, key=lambda index: frontier.points[index].uptake.value)
