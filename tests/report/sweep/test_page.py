"""The page of a sweep as one file."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from orchestrator.frontier.estimates import Frontier, MixingLaw
from orchestrator.report.sweep.page import render_sweep_page
from orchestrator.report.sweep.records import SweepRecords
from tests.support.sweep_records import MadeUpSweep, hostile_sweep, large_sweep, make_records, small_sweep

_MEGABYTE = 1_000_000


def without_scripts(page: str) -> str:
    """What a reader sees of it, roughly: all but scripts and styles."""
    return re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)


def test_a_page_of_200_trials_is_under_six_megabytes_and_names_all_of_them() -> None:
    records = large_sweep()
    page = render_sweep_page(records)
    assert len(page.encode()) < 6 * _MEGABYTE
    assert without_scripts(page).count('<tr data-number="') == len(records.trials) == 200


def test_the_page_asks_for_nothing_from_a_network() -> None:
    page = render_sweep_page(small_sweep())
    assert "default-src 'none'" in page
    assert not re.search(r'(src|href)="', without_scripts(page))


def test_texts_of_the_user_are_never_markup() -> None:
    page = without_scripts(render_sweep_page(hostile_sweep()))
    assert "<b>" not in page
    assert "&lt;/script&gt;&lt;b&gt;" in page


def test_all_warnings_are_shown() -> None:
    records = small_sweep()
    assert records.frontier
    assert records.frontier.law
    law = replace(records.frontier.law, warnings=("of the law",))
    page = render_sweep_page(replace(records, frontier=replace(records.frontier, law=law, warnings=("first of the front", "second of it"))))
    for warning in ("first of the front", "second of it", "of the law", "Vary sweep.unique_spec_tokens."):
        assert warning in without_scripts(page)


def test_why_there_is_no_frontier_is_shown() -> None:
    records = replace(hostile_sweep(), frontier=None, no_frontier="No frontier: trials <b>a and b are not comparable.")
    page = without_scripts(render_sweep_page(records))
    assert "Read with care" in page and "No frontier: trials &lt;b&gt;a and b are not comparable." in page
    assert "No frontier can be made of the trials that have finished" in page


def bare_frontier() -> SweepRecords:
    records = make_records(MadeUpSweep(has_knee=False, has_law=False))
    assert records.frontier
    return replace(records, frontier=replace(records.frontier, limit=None, repetition=None, num_draws=0), saved=None)


def law_without_optimum() -> SweepRecords:
    records = small_sweep()
    assert records.frontier
    assert records.frontier.law
    return replace(records, frontier=replace(records.frontier, law=MixingLaw(sources=records.frontier.law.sources, optimum=None)))


def only_the_spec_on_the_front() -> SweepRecords:
    records = small_sweep()
    assert records.frontier
    return replace(records, frontier=Frontier(points=records.frontier.points[3:4]))


def no_trials() -> SweepRecords:
    return replace(small_sweep(), trials=[], frontier=None)


def nothing_varied_but_the_seed() -> SweepRecords:
    return make_records(MadeUpSweep(shares=(0.1,), states={}, has_law=False))


@pytest.mark.parametrize(
    "made_up", [bare_frontier, law_without_optimum, only_the_spec_on_the_front, no_trials, nothing_varied_but_the_seed]
)
def test_what_is_missing_leaves_the_rest_of_the_page_whole(made_up: Callable[[], SweepRecords]) -> None:
    page = without_scripts(render_sweep_page(made_up()))
    assert "How to do it again" in page
    assert "None" not in page
