"""`midtrain report` on run directories."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.commands.console import Console
from orchestrator.commands.report import make_report, show_summary
from orchestrator.errors import ConfigError, InfrastructureError
from orchestrator.mixture.plan_file import read_plan, write_plan
from orchestrator.mixture.subset import Subset
from orchestrator.report.records import pair_attempts
from orchestrator.runs.attempts import Stop, start_attempt
from orchestrator.runs.directory import RunDirectory
from tests.support.run_directory import SOURCES, MadeUpRun, MadeUpSource, write_run

_MEGABYTE = 1_000_000


def test_the_summary_has_the_keys_that_scripts_rely_on(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    summary = make_report(run)
    assert {
        "model",
        "steps",
        "tokens",
        "heldout",
        "realised_share",
        "tokens_per_second",
        "data_wait_share",
        "checkpoint_stall_seconds",
    } <= set(summary)
    assert {"role", "before", "after", "stderr"} <= set(summary["heldout"]["spec"])
    assert (summary["steps"], summary["tokens"], summary["checkpoint_stall_seconds"]) == (60, 60 * 4 * 32, 3 * 1.25 + 0.5)
    assert "3 checkpoints" in run.report.read_text()
    assert summary["largest_deviation_sequences"]["spec"] <= 1


def test_a_run_that_logs_seldom_has_the_rates_of_one_that_logs_always(tmp_path: Path) -> None:
    seldom, always = (make_report(write_run(tmp_path / str(every), MadeUpRun(log_every=every))) for every in (7, 1))
    assert seldom["tokens_per_second"] == pytest.approx(always["tokens_per_second"], rel=0.05)
    assert seldom["realised_share"] == always["realised_share"]


def test_the_page_is_one_small_file_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    before = {path.name for path in run.root.iterdir()}
    make_report(run)
    assert {path.name for path in run.root.iterdir()} - before == {"report.html"}
    assert run.report.stat().st_size < 6 * _MEGABYTE


def test_the_page_has_the_configuration_and_says_that_the_run_is_not_finished(tmp_path: Path) -> None:
    run = write_run(tmp_path, MadeUpRun(trained_steps=30))
    make_report(run)
    page = run.report.read_text(encoding="utf-8")
    assert "Not finished: step 30 of 60." in page
    assert "sequences_per_step: 4" in page


def test_a_damaged_mixture_is_shown_and_not_hidden(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    lines = [json.loads(text) for text in run.metrics.read_text(encoding="utf-8").splitlines()]
    lines[-1] |= {"tokens/spec": lines[-1]["tokens/spec"] + 3 * 32, "tokens/package_docs": lines[-1]["tokens/package_docs"] - 3 * 32}
    run.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert make_report(run)["largest_deviation_sequences"]["spec"] == pytest.approx(3)
    assert "please report it as a bug" in run.report.read_text(encoding="utf-8")


@pytest.mark.parametrize("is_known", [True, False])
def test_page_and_console_say_whether_errors_are_over_documents(tmp_path: Path, is_known: bool, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path)
    if not is_known:  # as older runs are
        lines = [json.loads(text) for text in run.heldout.read_text(encoding="utf-8").splitlines()]
        run.heldout.write_text("".join(json.dumps({k: v for k, v in line.items() if k != "documents"}) + "\n" for line in lines))
    summary = make_report(run)
    assert {change["num_documents"] for change in summary["heldout"].values()} == {12 if is_known else None}
    page = run.report.read_text(encoding="utf-8")
    assert ("the errors are over documents" in page, "they count as independent" in page) == (is_known, not is_known)
    assert ('<th scope="col">documents</th>' in page) == is_known
    show_summary(summary, run, Console())
    assert ("not known" in capsys.readouterr().out) == (not is_known)


def test_the_page_says_how_much_a_run_uses_of_a_source_in_part_and_nothing_of_it_otherwise(tmp_path: Path) -> None:
    whole, cut = write_run(tmp_path / "whole"), write_run(tmp_path / "cut")
    plan = read_plan(cut.plan)
    spec = replace(plan.sources[0], subset=Subset(sequences=10, trained_tokens=320))
    write_plan(replace(plan, sources=(spec, *plan.sources[1:])), cut.plan)
    for run, is_cut in ((whole, False), (cut, True)):
        make_report(run)
        page = run.report.read_text(encoding="utf-8")
        assert ('<th scope="col">unique tokens</th>' in page) == (f"320 of {spec.trained_tokens:,}" in page) == is_cut


def test_a_run_without_held_out_text_is_reported_all_the_same(tmp_path: Path) -> None:
    sources = {name: MadeUpSource(role=s.role, share=s.share, start=s.start, end=s.end, num_heldout=0) for name, s in SOURCES.items()}
    run = write_run(tmp_path, MadeUpRun(sources=sources))
    assert make_report(run)["heldout"] == {}
    assert "No text was held out of any source" in run.report.read_text(encoding="utf-8")


def test_a_run_that_was_evaluated_only_before_its_first_step_claims_no_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path, MadeUpRun(trained_steps=10))
    show_summary(make_report(run), run, Console())
    assert "not been measured since before the first step" in capsys.readouterr().out
    page = run.report.read_text(encoding="utf-8")
    assert "It has not been measured since." in page
    assert 'id="heldout"' not in page


def test_what_is_not_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a run"):
        make_report(RunDirectory(tmp_path))


def test_a_run_that_has_trained_nothing_is_refused_with_what_to_do(tmp_path: Path) -> None:
    run = write_run(tmp_path, MadeUpRun(trained_steps=0))
    with pytest.raises(ConfigError, match=f"nothing to report yet.*midtrain resume {run.root}"):
        make_report(run)
    assert not run.report.exists()


def test_a_page_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    run.report.mkdir()
    with pytest.raises(InfrastructureError, match=r"cannot write .*report\.html"):
        make_report(run)
    assert not list(run.root.glob("*partial*"))


def test_each_attempt_has_its_own_stop_or_none(tmp_path: Path) -> None:
    stopped = Stop(step=30, reason="stopped by SIGTERM", reason_class="preempted", exit_code=75)
    run = write_run(tmp_path, MadeUpRun(trained_steps=30, attempts=[stopped]))
    start_attempt(run, world_size=4, from_step=20)
    lines = [json.loads(text) for text in run.attempts.read_text(encoding="utf-8").splitlines()]
    first, second = pair_attempts(lines)
    assert (first.number, first.step, first.reason_class, first.exit_code) == (1, 30, "preempted", 75)
    assert (second.number, second.from_step, second.world_size, second.stopped) == (2, 20, 4, None)


def test_the_console_shows_headline_table_and_where_the_page_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path, MadeUpRun(trained_steps=30))
    show_summary(make_report(run), run, Console())
    out, err = capsys.readouterr()
    assert "held-out loss fell by" in out
    assert "python_source" in out
    assert str(run.report) in out
    assert "Not finished: step 30 of 60." in err
