"""Cells of tables that can be sorted."""

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.frontier.trials import Value
from orchestrator.report.frame import NONE
from orchestrator.report.sweep.quantities import value_in_words


@dataclass(frozen=True, slots=True)
class Cell:
    """What a cell shows, and what it is sorted by; none comes last in either direction."""

    text: str
    key: str | float | None


def setting_cell(key: str, setting: Mapping[str, Value]) -> Cell:
    """The value of a key in a setting."""
    if key not in setting:
        return Cell(NONE, None)
    value = setting[key]
    text = value_in_words(key, value)
    return Cell(text, value if isinstance(value, int | float) and not isinstance(value, bool) else text)
