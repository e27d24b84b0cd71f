"""What every page is put into: one file with style, plotly and charts in it, that shows anywhere and fetches nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from orchestrator import __version__
from orchestrator.report import wording
from orchestrator.report.looks import Chart

PLOTLY = Path(__file__).parent / "plotly" / "plotly-basic.min.js"  # see docs/decisions/0028-the-small-plotly-in-pages.md
NONE = "\N{EN DASH}"  # where there is no value


@dataclass(frozen=True, slots=True)
class Card:
    """A figure that stands out: what it is, its value, a line below it, and how sure it is, if that is known."""

    title: str
    value: str
    note: str
    error: str = ""


def render(template: str, charts: Sequence[Chart], values: Mapping[str, Any]) -> str:
    """Fill a template that extends `frame.html.j2`.

    Args:
        template: its path beside this module.
        charts: drawn once the page is open; the template has them by their id.
        values: what else it shows: `name`, `model` and `facts`, which the frame has under the title, and its own.

    Returns:
        HTML with everything in it.
    """
    shared = {
        "charts": {chart.chart_id: chart for chart in charts},
        "figures": {chart.chart_id: {"data": chart.data, "layout": chart.layout} for chart in charts},
        "version": __version__,
        "plotly_js": Markup(PLOTLY.read_text(encoding="utf-8")),
    }
    return _environment().get_template(template).render({**shared, **values})


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.filters |= {
        "percent": wording.percent,
        "change": wording.change_in_words,
        "number": wording.number,
        "points": wording.points,
        "items": wording.items_in_words,
        "duration": wording.duration,
        "moment": wording.moment,
    }
    return environment
