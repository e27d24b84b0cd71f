"""The tables of a sweep as CSV."""

import csv
import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.report.sweep.records import SweepRecords
from orchestrator.report.sweep.tables import metrics_csv, ratios_csv
from tests.support.sweep_records import FORMULA, MadeUpSweep, hostile_sweep, large_sweep, make_records, small_sweep

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_a_row_a_trial_has_what_was_planned_what_it_measured_and_the_estimates_of_its_setting() -> None:
    records = small_sweep()
    assert records.frontier
    rows = read(ratios_csv(records))
    assert [row["trial"] for row in rows] == [trial.trial_id for trial in records.trials]
    row, trial, point = rows[6], records.trials[6], records.frontier.points[4]
    assert row["mixture.spec_share"] == "0.1"
    assert (row["arm"], row["seed"], row["state"], row["spec_tokens"], row["total_tokens"]) == (
        "spec",
        "1",
        "finished",
        "4000000",
        "40000000",
    )
    assert float(row["uptake"]) == trial.uptake
    assert float(row["forgetting/code"]) == trial.forgetting_by_source["code"]
    estimates = [float(row[f"setting_uptake{end}"]) for end in ("", "_low", "_high")]
    assert estimates == [point.uptake.value, point.uptake.low, point.uptake.high]
    assert float(row["probe/recall"]) == trial.probes["recall"]
    assert [float(row[f"setting_probe/recall{end}"]) for end in ("", "_high")] == [
        point.probes["recall"].value,
        point.probes["recall"].high,
    ]
    assert (row["on_front"], row["hours"], row["reason_class"], row["command"]) == ("true", "1.9", "done", trial.command)


def test_what_is_not_known_is_empty() -> None:
    rows = read(ratios_csv(make_records(MadeUpSweep(states={f"t{number:03d}": "queued" for number in range(14)}))))
    assert {row["setting_uptake"] for row in rows} == {row["uptake"] for row in rows} == {row["on_front"] for row in rows} == {""}
    control = read(ratios_csv(small_sweep()))[0]
    assert {row["setting_probe/recall"] for row in read(ratios_csv(small_sweep())) if row["state"] != "finished"} == {""}
    assert (control["arm"], control["mixture.spec_share"], control["setting_uptake_over_control"]) == ("control", "", "")


def test_every_measured_loss_has_a_row() -> None:
    records = large_sweep()
    rows = read(metrics_csv(records))
    assert list(rows[0]) == ["trial", "step", "source", "what", "loss", "steps"]
    heldout = [row for row in rows if row["what"] == "heldout"]
    assert len(heldout) == 199 * 3 * 60
    trial = records.trials[2]
    assert trial.curves
    assert [float(row["loss"]) for row in heldout if (row["trial"], row["source"]) == ("t002", "web")] == pytest.approx(
        trial.curves.heldout["web"].tolist()
    )
    assert {row["steps"] for row in heldout} == {""}
    trained = [row for row in rows if (row["trial"], row["source"], row["what"]) == ("t002", "web", "train")]
    assert sum(int(row["steps"]) for row in trained) == trial.step == int(trained[-1]["step"])
    assert not [row for row in rows if row["trial"] == "t000" and (row["what"], row["source"]) == ("train", "spec")]


@pytest.mark.parametrize("written", [ratios_csv, metrics_csv])
def test_no_text_is_a_formula_to_a_spreadsheet_and_lines_end_as_the_format_has_it(written: Callable[[SweepRecords], str]) -> None:
    text = written(hostile_sweep())
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert {len(row) for row in rows} == {len(rows[0])}
    assert not [cell for row in rows for cell in row if cell.startswith(FORMULA_STARTS) and not is_number(cell)]
    assert f"'{FORMULA}" in {cell for row in rows for cell in row}
    assert text.count("\r\n") == len(rows)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_any_text_comes_back_as_it_was_or_behind_an_apostrophe(text: str) -> None:
    records = small_sweep()
    trial = replace(records.trials[0], command=text, reason_class=text)
    (row,) = read(ratios_csv(replace(records, trials=[trial])))
    assert row["command"] == row["reason_class"] == (f"'{text}" if text.startswith(FORMULA_STARTS) else text)
