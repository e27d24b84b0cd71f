"""Made-up sweeps whose pages are opened in a browser, and what can be read off such a page."""

from collections.abc import Callable

from playwright.sync_api import Page

from orchestrator.report.sweep.records import SweepRecords
from tests.support.sweep_records import MadeUpSweep, hostile_sweep, large_sweep, make_records, small_sweep

CHARTS = ("frontier", "curves-heldout", "curves-losses")
LAW = ("law-spec", "law-general")
SWEEPS: dict[str, Callable[[], SweepRecords]] = {
    "small": small_sweep,
    "large": large_sweep,
    "hostile": hostile_sweep,
    "unfinished": lambda: make_records(MadeUpSweep(states={f"t{number:03d}": "running" for number in range(14)})),
}


def shown(page: Page) -> list[str]:
    """The trials whose curves are shown, as their chips have them."""
    return page.locator("#chips .id").all_text_contents()
