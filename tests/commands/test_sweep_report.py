"""The report of a sweep from its directory: what is wrong with one trial, or with two together, keeps nothing else from being told."""

import csv
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.commands.console import Console
from orchestrator.commands.sweeping.reporting import make_sweep_report, show_report, summary_of
from orchestrator.commands.sweeping.standing import standings_of
from orchestrator.commands.sweeping.watching import show_status
from orchestrator.runs.attempts import only_attempt
from orchestrator.runs.lines import append_line
from orchestrator.sweep.directory import SweepDirectory
from tests.support.sweep_directory import ADDED, SHARE, MadeUpTrial, change_lines, log_of, write_sweep

SHARES = "mixture.spec_share=0.1,0.25"
RATE = "training.learning_rate"
TRIALS = (MadeUpTrial(share=0.0), MadeUpTrial(share=0.1), MadeUpTrial(share=0.25))
BEGAN = datetime(2026, 3, 14, tzinfo=UTC)


def line(event: str, attempt: int, hours: float, **more: object) -> dict[str, object]:
    return {"event": event, "attempt": attempt, "time": (BEGAN + timedelta(hours=hours)).isoformat(), "host": "here", **more}


def done(attempt: int, hours: float) -> dict[str, object]:
    return line("stop", attempt, hours, step=20, reason="all steps are done", exit_code=0) | {"class": "done"}


def said_of(sweep: SweepDirectory, capsys: pytest.CaptureFixture[str]) -> str:
    """What `midtrain report` says, on one line."""
    records = make_sweep_report(sweep)
    show_report(records, sweep, Console())
    captured = capsys.readouterr()
    return " ".join((captured.out + captured.err).split())


def test_trials_that_cannot_be_compared_cost_the_frontier_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = write_sweep(tmp_path, [*TRIALS, MadeUpTrial(share=0.4, start=4.5)], SHARES)
    (sweep.root / "frontier.png").write_bytes(b"of an earlier report")
    said = said_of(sweep, capsys)
    assert "No frontier: trials control_0_0 and spec_0.4_0 are not comparable" in said and "No frontier can be made" in said
    page = sweep.report.read_text(encoding="utf-8")
    assert "No frontier: trials control_0_0 and spec_0.4_0 are not comparable" in page and "spec_0.25_0" in page
    assert not (sweep.root / "frontier.png").exists()
    rows = list(csv.DictReader((sweep.root / "ratios.csv").open(newline="")))
    assert [row["trial"] for row in rows] == ["control_0_0", "spec_0.1_0", "spec_0.25_0", "spec_0.4_0"]
    assert {row["on_front"] for row in rows} == {""} and "" not in {row["uptake"] for row in rows}
    summary = summary_of(make_sweep_report(sweep))
    assert summary["frontier"] is None and "not comparable" in summary["no_frontier"]


def test_a_trial_that_cannot_be_compared_is_left_out_by_moving_it_away_as_the_report_says(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, [*TRIALS, MadeUpTrial(share=0.4, start=4.5)], SHARES)
    assert f"move its directory out of {sweep.trials}." in (make_sweep_report(sweep).no_frontier or "")
    sweep.run("spec_0.4_0").root.rename(tmp_path / "moved away")
    records = make_sweep_report(sweep)
    assert records.frontier and len(records.frontier.points) == 4 and records.no_frontier is None
    assert records.trials[3].state == "unknown"


def test_comparable_trials_have_a_frontier_and_no_reason_against_it(tmp_path: Path) -> None:
    records = make_sweep_report(write_sweep(tmp_path, TRIALS, SHARES))
    assert records.frontier and records.no_frontier is None
    assert [point.spec_share for point in records.frontier.points] == [0.0, 0.0, 0.1, 0.25]


def test_what_an_earlier_command_varied_is_a_column_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    earlier = [MadeUpTrial(share=0.1, setting={RATE: rate}) for rate in (0.01, 0.03)]
    sweep = write_sweep(tmp_path, [*earlier, *TRIALS], SHARES)
    records = make_sweep_report(sweep)
    assert records.keys == [SHARE, RATE]
    rows = list(csv.DictReader((sweep.root / "ratios.csv").open(newline="")))
    assert [row[RATE] for row in rows] == ["0.01", "0.03", "", "", ""]
    show_status(sweep, Console())
    assert "learning rate" in capsys.readouterr().out


def test_a_trial_whose_files_are_damaged_is_told_and_the_others_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = write_sweep(tmp_path, [*TRIALS, MadeUpTrial(share=0.4)], SHARES)
    for name in ("metrics", "attempts"):
        path: Path = getattr(sweep.run("spec_0.4_0" if name == "metrics" else "spec_0.1_0"), name)
        path.write_text("{not JSON}\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    records = make_sweep_report(sweep)
    assert [trial.state for trial in records.trials] == ["finished", "unknown", "finished", "unknown"]
    assert "metrics.jsonl:1 is damaged" in (records.trials[3].reason or "")
    assert records.frontier and len(records.frontier.points) == 3
    assert "2 of 4 trials have finished (2 unknown)" in sweep.report.read_text(encoding="utf-8")
    show_status(sweep, Console())
    assert "2 finished, 2 unknown" in " ".join(capsys.readouterr().out.split())


def test_a_source_that_an_amendment_added_to_one_trial_makes_it_incomparable_and_no_bug(tmp_path: Path) -> None:
    records = make_sweep_report(write_sweep(tmp_path, [*TRIALS, MadeUpTrial(share=0.4, is_amended=True)], SHARES))
    assert records.no_frontier and f"'{ADDED}'" in records.no_frontier
    assert ADDED in records.trials[3].forgetting_by_source and ADDED not in records.trials[2].forgetting_by_source


def test_hours_are_of_the_ranks_that_ran_and_not_of_the_night_after_a_kill(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, TRIALS, SHARES)
    ledgers = {
        "control_0_0": [line("start", 1, 0, world_size=2, from_step=0), done(1, 1)],
        "spec_0.1_0": [
            line("start", 1, 0, world_size=8, from_step=0),
            line("start", 2, 22, world_size=4, from_step=10),
            done(2, 23),
        ],
        "spec_0.25_0": [line("start", 1, 0.5, world_size=2, from_step=0), done(1, 1.5)],
    }
    for name, lines in ledgers.items():
        change_lines(sweep.run(name).attempts, *lines)
        change_lines(sweep.run(name).events)
    killed = (BEGAN + timedelta(hours=2)).timestamp()
    os.utime(log_of(sweep.run("spec_0.1_0"), 1), (killed, killed))
    records = make_sweep_report(sweep)
    assert [trial.gpu_hours for trial in records.trials] == pytest.approx([2, 8 * 2 + 4 * 1, 2])
    assert [trial.seconds for trial in records.trials] == pytest.approx([3600, 3 * 3600, 3600])
    assert records.wall_seconds == pytest.approx(3 * 3600)


def test_a_trial_that_runs_has_hours_until_now(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, TRIALS[:2], SHARES)
    run = sweep.run("spec_0.1_0")
    start = line("start", 2, 0, world_size=2, from_step=0) | {"time": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}
    append_line(run.attempts, start)
    with only_attempt(run):
        standing = standings_of(sweep)["spec_0.1_0"]
    assert standing.state == "running"
    first, second = standing.spans
    assert second.rank_hours == pytest.approx(2.0, abs=0.01)
    assert standing.rank_hours == pytest.approx(first.rank_hours + second.rank_hours)


def test_the_summary_for_scripts_is_json(tmp_path: Path) -> None:
    summary = summary_of(make_sweep_report(write_sweep(tmp_path, TRIALS, SHARES)))
    assert json.loads(json.dumps(summary))["no_frontier"] is None
