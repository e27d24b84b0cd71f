"""Where a run is on the frontier of gain and forgetting, and its plan as a table."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.mixture.summary import summarise
from orchestrator.tracking.summary import coordinates, plan_table
from tests.support.run_directory import MadeUpRun, plan_of

PLAN = plan_of(MadeUpRun())
SOURCES: list[dict[str, Any]] = summarise(PLAN)["sources"]
Line = dict[str, Any]


def measured(step: int, **losses: list[float]) -> list[Line]:
    return [{"step": step, "source": source, "losses": values} for source, values in losses.items()]


def test_uptake_is_what_the_spec_gains_and_forgetting_what_the_others_lose_as_a_share_of_the_loss_before() -> None:
    before = measured(0, spec=[4.0, 6.0], python_source=[1.0, 1.0], package_docs=[2.0])
    between = measured(5, spec=[9.0, 9.0], python_source=[9.0, 9.0], package_docs=[9.0])
    after = measured(10, spec=[3.0, 5.0], python_source=[1.0, 1.2], package_docs=[1.8])
    found = coordinates(SOURCES, [*before, *between, *after])
    assert found == {
        "frontier/spec_share": pytest.approx(0.25),
        "frontier/spec_epochs": SOURCES[0]["epochs"],
        "frontier/total_tokens": PLAN.tokens,
        "frontier/uptake": pytest.approx(0.2),
        "frontier/forgetting": pytest.approx(0.0),
        "frontier/forgetting/python_source": pytest.approx(0.1),
        "frontier/forgetting/package_docs": pytest.approx(-0.1),
    }


def test_before_there_is_a_second_evaluation_only_what_is_planned_is_known() -> None:
    planned = {"frontier/spec_share", "frontier/spec_epochs", "frontier/total_tokens"}
    assert coordinates(SOURCES, []).keys() == planned
    assert coordinates(SOURCES, measured(0, spec=[4.0], python_source=[1.0])).keys() == planned


def test_what_a_probe_gained_is_told_when_it_was_asked_the_same_items_twice() -> None:
    def asked(step: int, probe: str, correct: list[int], items: str = "a") -> Line:
        return {"step": step, "probe": probe, "correct": correct, "items": items}

    lines = [asked(0, "recall", [1, 0, 0, 0]), asked(0, "once", [1]), asked(0, "changed", [1]), asked(5, "recall", [0, 0, 0, 0])]
    lines += [asked(10, "recall", [1, 1, 1, 0]), asked(10, "changed", [0], "b")]
    found = coordinates(SOURCES, [], lines)
    assert {key: value for key, value in found.items() if "probe" in key} == {"frontier/probe/recall": 0.5}


def test_a_source_that_is_not_held_out_or_was_measured_otherwise_before_is_left_out() -> None:
    lines = [*measured(0, spec=[4.0], python_source=[1.0, 1.0], package_docs=[]), *measured(5, spec=[2.0], python_source=[1.0])]
    assert coordinates(SOURCES, lines)["frontier/uptake"] == 0.5
    assert not [key for key in coordinates(SOURCES, lines) if "forgetting" in key]


@given(
    before=st.lists(st.floats(0.1, 20), min_size=1, max_size=5),
    scale=st.floats(0.1, 10),
    factor=st.floats(0.1, 10),
)
def test_coordinates_know_no_unit_and_gain_and_loss_mirror_each_other(before: list[float], scale: float, factor: float) -> None:
    later = [value * factor for value in before]

    def both(times: float) -> dict[str, float]:
        old, new = [value * times for value in before], [value * times for value in later]
        return coordinates(SOURCES, [*measured(0, spec=old, python_source=old), *measured(1, spec=new, python_source=new)])

    assert both(scale)["frontier/uptake"] == pytest.approx(both(1.0)["frontier/uptake"], abs=1e-9)
    assert both(scale)["frontier/uptake"] == pytest.approx(-both(scale)["frontier/forgetting"], abs=1e-9)
    assert both(1.0)["frontier/forgetting"] == pytest.approx(factor - 1, abs=1e-9)


def test_the_plan_is_a_table_with_a_row_a_source() -> None:
    columns, rows = plan_table(SOURCES)
    assert columns == [
        *("source", "role", "share asked", "share planned", "tokens", "sequences", "epochs", "first step", "last step", "updates")
    ]
    assert [row[:6] for row in rows] == [
        ["spec", "spec", 0.25, 0.25, 1920, 60],
        ["python_source", "general", pytest.approx(0.3), pytest.approx(0.3), 2304, 72],
        ["package_docs", "general", pytest.approx(0.45), pytest.approx(0.45), 3456, 108],
    ]
    assert [row[7:] for row in rows] == [[1, 60, 60]] * 3
