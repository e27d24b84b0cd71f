"""The pictures as values."""

import json
from fractions import Fraction

import numpy as np
import pytest

from orchestrator.mixture.plan import PlannedSource
from orchestrator.report.charts import deviation_chart, heldout_chart, loss_chart
from orchestrator.report.looks import source_styles
from orchestrator.report.timeline import Evaluation, Timeline, deviations
from tests.support.run_directory import MadeUpRun, MadeUpSource, plan_of

_MEGABYTE = 1_000_000


def planned(num_spec: int, num_general: int) -> list[PlannedSource]:
    roles = ["spec"] * num_spec + ["general"] * num_general
    return [
        PlannedSource(name=f"{role}{i}", role=role, fingerprint="", unique_sequences=1, trained_tokens=32) for i, role in enumerate(roles)
    ]


def timeline_of(num_lines: int, num_sources: int) -> Timeline:
    """Lines of a step each, in which every source trains one sequence of 32 tokens."""
    steps = np.arange(1, num_lines + 1, dtype=np.int64)
    pick = np.random.default_rng(0)
    return Timeline(
        steps=steps,
        tokens=np.repeat(32 * steps[:, None], num_sources, axis=1),
        losses=pick.normal(3, 0.1, (num_lines, num_sources)),
        learning_rate=np.full(num_lines, 0.01),
        gradient_norm=pick.gamma(2.0, 1.0, num_lines),
        step_seconds=np.ones(num_lines),
        wait_seconds=np.zeros(num_lines),
    )


def test_no_two_sources_of_a_usual_run_look_alike() -> None:
    styles = source_styles(planned(2, 14))
    assert len({(style.color, style.dash) for style in styles}) == 16


def test_pictures_of_a_long_run_of_many_sources_stay_small() -> None:
    made_up = MadeUpRun(steps=60, sources={f"s{i}": MadeUpSource(role="general", share=Fraction(1, 20), start=3, end=2) for i in range(20)})
    plan, timeline = plan_of(made_up), timeline_of(50_000, 20)
    styles = source_styles(plan.sources)
    charts = [loss_chart(timeline, styles), deviation_chart(timeline, deviations(timeline, plan), styles)]
    assert len(json.dumps([chart.data for chart in charts])) < 0.8 * _MEGABYTE


def test_the_first_source_lies_on_top_and_leads_the_legend() -> None:
    timeline = timeline_of(10, 3)
    chart = loss_chart(timeline, source_styles(planned(1, 2)))
    assert chart.data[-1]["name"] == "spec0"
    assert [(key.style.name, key.traces) for key in chart.keys] == [("spec0", (4, 5)), ("general1", (2, 3)), ("general2", (0, 1))]


def test_a_source_that_was_never_trained_has_no_training_loss() -> None:
    timeline = timeline_of(10, 2)
    timeline.tokens[:, 1] = 0
    assert [trace["name"] for trace in loss_chart(timeline, source_styles(planned(1, 1))).data] == ["spec0", "spec0"]


def test_names_are_escaped_for_plotly_which_reads_tags() -> None:
    hostile = PlannedSource(name="<b>&", role="spec", fingerprint="", unique_sequences=1, trained_tokens=32)
    evaluations = [Evaluation(step, {"<b>&": np.array([4.0, 3.0])}) for step in (0, 5)]
    chart = heldout_chart(evaluations, source_styles([hostile]))
    assert chart.data[0]["name"] == "&lt;b&gt;&amp;"
    assert "<b>&" in chart.label


def test_the_held_out_chart_shows_change_in_percent_with_the_paired_error() -> None:
    evaluations = [Evaluation(0, {"spec0": np.array([3.0, 5.0])}), Evaluation(7, {"spec0": np.array([2.6, 4.4])})]
    (trace,) = heldout_chart(evaluations, source_styles(planned(1, 0))).data
    assert trace["x"] == [0, 7]
    assert trace["y"] == [0.0, -12.5]
    assert trace["error_y"]["array"] == [0.0, 2.5]


def test_the_bars_of_the_held_out_chart_are_errors_over_documents_where_these_are_known() -> None:
    losses, documents = [[3.0, 5.0, 4.0], [2.0, 4.0, 4.0]], {"spec0": np.array([2, 2, 9])}
    evaluations = [Evaluation(step, {"spec0": np.array(values)}, documents) for step, values in zip((0, 7), losses, strict=True)]
    (trace,) = heldout_chart(evaluations, source_styles(planned(1, 0))).data
    assert trace["error_y"]["array"] == [0.0, pytest.approx(100 * 4 / 9 / 4, abs=0.01)]
