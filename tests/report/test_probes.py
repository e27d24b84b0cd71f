"""What a report says of probes: shares before and after, with errors that are paired by item."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.commands.console import Console
from orchestrator.commands.report import make_report, show_summary
from orchestrator.errors import DataError
from orchestrator.report.probes import make_asked, probe_changes, probe_changes_of
from orchestrator.report.sweep.reading import read_measured
from tests.support.run_directory import SOURCES, MadeUpRun, write_run


def lines(answers: dict[int, list[float]], name: str = "keeper", items: str = "hash") -> list[dict[str, Any]]:
    """Of probes.jsonl, from the margins at each step."""
    return [
        {"step": step, "probe": name, "correct": [int(m > 0) for m in margins], "margins": margins, "items": items, "num_cut": 0}
        for step, margins in answers.items()
    ]


def metrics_of(probes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"step": line["step"], f"probe/{line['probe']}": 0.5} for line in probes]


def test_the_change_is_from_the_first_to_the_newest_evaluation_with_an_error_paired_by_item() -> None:
    probes = lines({0: [1.0, -1.0, -1.0, -3.0], 5: [1.0, 1.0, 1.0, 1.0], 9: [0.5, 1.0, -0.5, 2.0]})
    change = probe_changes(make_asked(metrics_of(probes), probes))["keeper"]
    assert (change.first_step, change.step, change.before, change.after, change.change) == (0, 9, 0.25, 0.75, 0.5)
    assert change.change_stderr == pytest.approx(math.sqrt(1 / 3) / 2)  # of the differences 0, 1, 0 and 1
    assert change.stderr == pytest.approx(0.25)  # of 1, 1, 0 and 1: sample deviation 0.5, by the root of four
    assert (change.margin_before, change.margin_after, change.num_items) == (-1.0, 0.75, 4)
    assert not change.is_clear


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=40))
def test_the_error_of_a_change_is_that_of_how_many_items_were_learned_and_lost(pairs: list[tuple[bool, bool]]) -> None:
    probes = lines({0: [1.0 if before else -1.0 for before, _ in pairs], 5: [1.0 if after else -1.0 for _, after in pairs]})
    change = probe_changes(make_asked(metrics_of(probes), probes))["keeper"]
    learned, lost, num = sum(b > a for a, b in pairs), sum(a > b for a, b in pairs), len(pairs)
    assert change.change == pytest.approx((learned - lost) / num)
    variance = (learned + lost - (learned - lost) ** 2 / num) / (num - 1)
    assert change.change_stderr == pytest.approx(math.sqrt(variance / num), abs=1e-12)


def test_an_evaluation_counts_only_once_its_line_in_the_metrics_is_there() -> None:
    probes = lines({0: [1.0], 5: [-1.0]})
    (asked,) = make_asked(metrics_of(probes)[:1], probes).values()
    assert [one.step for one in asked] == [0]


def test_other_items_within_a_run_are_an_error_that_names_the_key() -> None:
    probes = [*lines({0: [1.0]}), *lines({5: [1.0]}, items="others")]
    with pytest.raises(DataError, match=r"'keeper' was asked other items at step 5 than at step 0.*evaluation\.probes\.keeper"):
        make_asked(metrics_of(probes), probes)


def test_a_run_with_probes_has_a_table_of_them_on_its_page_and_on_the_console(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path, MadeUpRun(probes={"keeper": 12, "<door>": 5}))
    summary = make_report(run)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    keeper = probe_changes_of(summary)["keeper"]
    assert (keeper.num_items, keeper.num_cut) == (12, 1)
    assert (keeper.before, keeper.after) == pytest.approx((1 / 3, 1.0))
    assert keeper.is_clear
    page = run.report.read_text(encoding="utf-8")
    assert '<h2 id="probes">Probes</h2>' in page
    assert "&lt;door&gt;" in page and "<door>" not in page
    assert "<td>33.3\N{NARROW NO-BREAK SPACE}%</td><td>100.0\N{NARROW NO-BREAK SPACE}%</td>" in page
    assert "12, 1 cut" in page and "the beginning of their prompt was left out" in page
    show_summary(summary, run, Console())
    out = capsys.readouterr().out
    assert "items answered right" in out
    assert "+66.7" in out


def test_a_run_without_probes_has_no_such_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path)
    summary = make_report(run)
    show_summary(summary, run, Console())
    assert summary["probes"] == {}
    assert 'id="probes"' not in run.report.read_text(encoding="utf-8")
    assert "items answered right" not in capsys.readouterr().out


def test_a_run_that_was_asked_only_before_its_first_step_claims_no_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path, MadeUpRun(trained_steps=10, probes={"keeper": 12}))
    show_summary(make_report(run), run, Console())
    assert "items answered right" not in capsys.readouterr().out
    page = run.report.read_text(encoding="utf-8")
    assert "<td>33.3\N{NARROW NO-BREAK SPACE}%</td>" + 3 * "<td>\N{EN DASH}</td>" in page


def test_the_report_of_a_sweep_has_the_first_and_the_newest_answers_of_a_trial(tmp_path: Path) -> None:
    run = write_run(tmp_path, MadeUpRun(probes={"keeper": 12}))
    found = read_measured(run, {name: source.role for name, source in SOURCES.items()}).probes["keeper"]
    assert found.items == "hash of keeper"
    assert (found.before.tolist(), found.after.tolist()) == ([1.0] * 4 + [0.0] * 8, [1.0] * 12)
    assert read_measured(write_run(tmp_path / "without"), {name: source.role for name, source in SOURCES.items()}).probes == {}
