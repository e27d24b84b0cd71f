"""Runs that their platform has given up are submitted again, within their budget and unless somebody wants them to stay as they are."""

from pathlib import Path

import pytest
import yaml

from orchestrator.commands import watching
from orchestrator.commands.console import Console
from orchestrator.commands.job import run_job
from orchestrator.commands.submitting import How
from orchestrator.commands.watching import submit_again, watch_runs
from orchestrator.config.load import load_config
from orchestrator.errors import ConfigError, InfrastructureError
from orchestrator.platforms.job import JobState
from orchestrator.platforms.profiles import load_settings
from orchestrator.platforms.slurm_states import read_queued
from orchestrator.platforms.submissions import Submission, begin_submission, end_submission
from orchestrator.runs.attempts import CLUSTER, JOB, Stop, newest_start, start_attempt, stop_attempt
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.stop_request import request_stop
from orchestrator.tracking.metrics import MetricsFile
from tests.support.prepared import make_run, write_prepared
from tests.support.tiny import overrides

IMAGE = "registry.example.com/midtrain@sha256:" + "ab" * 32
ENDED = JobState(phase="ended", word="Failed", why="DeadlineExceeded", given_up=True)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("watching")
    write_prepared(folder)
    return folder


@pytest.fixture
def run(home: Path, tmp_path: Path) -> RunDirectory:
    return make_run(load_config(overrides(home, **{"run.dir": tmp_path / "run"})))


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch) -> list[RunDirectory]:
    """The runs that were submitted again."""
    runs: list[RunDirectory] = []
    monkeypatch.setattr(watching, "relaunch", lambda run, *_, how: runs.append(run))
    return runs


def submit(run: RunDirectory, number: int = 1, from_step: int = 0, most: int = 2) -> Submission:
    settings = load_settings("kubernetes", [f"image={IMAGE}", f"max_resubmissions={most}"])[1]
    known = Submission(
        number=number, platform="kubernetes", profile="kubernetes", key=f"k{number}", from_step=from_step, job=f"run-{number}"
    )
    begin_submission(run, known, {"rayjob.yaml": "{}"}, settings)
    end_submission(run, known)
    return known


def attempt(run: RunDirectory, reason_class: str | None) -> None:
    number = start_attempt(run, world_size=1, from_step=0)
    if reason_class:
        stop_attempt(run, number, Stop(step=3, reason="because", reason_class=reason_class, exit_code=6))


def made_step(run: RunDirectory, step: int) -> None:
    file = MetricsFile(run.metrics, 0)
    file.write({"step": step})
    file.close()


@pytest.mark.parametrize("reason_class", [None, "preempted", "infrastructure"])
def test_what_another_try_can_mend_is_submitted_again(run: RunDirectory, submitted: list[RunDirectory], reason_class: str | None) -> None:
    attempt(run, reason_class)
    assert submit_again(run, (submit(run), ENDED), Console())
    assert submitted == [run]


@pytest.mark.parametrize("reason_class", ["data", "numerics", "user", "bug", "stopped", "done"])
def test_what_it_cannot_mend_is_not(run: RunDirectory, submitted: list[RunDirectory], reason_class: str) -> None:
    attempt(run, reason_class)
    assert not submit_again(run, (submit(run), ENDED), Console())
    assert submitted == []


@pytest.mark.parametrize("phase", ["waiting", "running", "gone", "unknown"])
def test_a_job_that_is_there_or_was_taken_away_is_left_alone(run: RunDirectory, submitted: list[RunDirectory], phase: str) -> None:
    attempt(run, "infrastructure")
    assert not submit_again(run, (submit(run), JobState(phase=phase, given_up=True)), Console())
    assert submitted == []


@pytest.mark.parametrize(("word", "job"), [("CANCELLED by 0", "run-1"), ("COMPLETED", "run-1"), ("FAILED", "before")])
def test_a_job_that_somebody_has_cancelled_or_that_never_began_is_left_alone(
    run: RunDirectory, submitted: list[RunDirectory], monkeypatch: pytest.MonkeyPatch, word: str, job: str
) -> None:
    monkeypatch.setenv(JOB, f"kubernetes:{job}")
    attempt(run, "preempted")
    made_step(run, 5)
    (state,) = read_queued(f"run-1|k1|{word}|None|n1", {"run-1": "k1"}).values()
    assert not submit_again(run, (submit(run), state), Console())
    assert submitted == []


@pytest.mark.parametrize("word", ["PREEMPTED", "NODE_FAIL", "TIMEOUT", "FAILED"])
def test_one_that_slurm_has_ended_or_that_failed_for_reasons_that_pass_is_submitted_again(
    run: RunDirectory, submitted: list[RunDirectory], monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.setenv(JOB, "kubernetes:run-1")
    attempt(run, "preempted")
    (state,) = read_queued(f"run-1|k1|{word}|None|n1", {"run-1": "k1"}).values()
    assert submit_again(run, (submit(run), state), Console())
    assert submitted == [run]


def test_none_is_submitted_again_where_none_may_be(run: RunDirectory, submitted: list[RunDirectory]) -> None:
    attempt(run, "infrastructure")
    made_step(run, 5)
    assert not submit_again(run, (submit(run, most=0), ENDED), Console())
    assert submitted == []


def test_who_watches_stays_while_a_platform_does_not_answer_and_goes_when_all_is_over(
    run: RunDirectory, submitted: list[RunDirectory], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watching, "_LOOK_SECONDS", 0.0)
    known = submit(run)
    states = [JobState(phase="waiting", word="PENDING"), JobState(phase="unknown", why="no answer"), ENDED, ENDED]
    monkeypatch.setattr(watching, "readable_jobs_of", lambda runs: [(known, states.pop(0))])

    def again(run: RunDirectory, *_: object, how: How) -> None:
        submitted.append(run)
        attempt(run, "done")

    monkeypatch.setattr(watching, "relaunch", again)
    watch_runs([run], Console())
    assert submitted == [run] and states == []
    said = capsys.readouterr().err
    assert "queued, PENDING" in said and "unknown" in said and "finished" in said


def test_a_run_that_somebody_has_asked_to_stop_is_left_alone(run: RunDirectory, submitted: list[RunDirectory]) -> None:
    attempt(run, None)
    request_stop(run, through_attempt=1)
    assert not submit_again(run, (submit(run), ENDED), Console())
    assert submitted == []


def test_submissions_that_make_no_step_are_counted_and_progress_begins_the_count_anew(
    run: RunDirectory, submitted: list[RunDirectory], capsys: pytest.CaptureFixture[str]
) -> None:
    attempt(run, "infrastructure")
    for number in (1, 2):
        assert submit_again(run, (submit(run, number), ENDED), Console())
    assert not submit_again(run, (submit(run, 3), ENDED), Console())
    assert "3 submissions in a row made no step, and launch.max_resubmissions=2" in capsys.readouterr().err
    made_step(run, 5)
    assert submit_again(run, (submit(run, 4, from_step=5), ENDED), Console())
    assert len(submitted) == 3


def test_a_job_that_was_replaced_by_another_leaves_the_run_alone(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    submit(run, 1)
    submit(run, 2)
    monkeypatch.setenv("MIDTRAIN_RUN", str(run.root))
    monkeypatch.setenv(JOB, "kubernetes:run-1")
    with pytest.raises(ConfigError, match="was submitted again since, as job run-2 on kubernetes"):
        run_job(Console())


def test_a_job_whose_run_is_to_stop_does_not_go_on_after_an_attempt_that_could_not_say_its_end(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MIDTRAIN_RUN", str(run.root))
    monkeypatch.setenv(JOB, "slurm:7")
    attempt(run, None)
    request_stop(run, through_attempt=1)
    run_job(Console())
    assert "`midtrain stop` by" in capsys.readouterr().out and newest_start(run) == 1


def test_a_job_does_not_begin_before_the_run_that_it_comes_after(home: Path, run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings("slurm", [f"after=[{home}/first]"])[1]
    begin_submission(run, Submission(number=1, platform="slurm", profile="slurm", key="k", from_step=0), {"job.sh": ""}, settings)
    monkeypatch.setenv("MIDTRAIN_RUN", str(run.root))
    with pytest.raises(ConfigError, match=r"launch\.after=.*/first is planned and not finished"):
        run_job(Console())


def test_starts_of_a_job_that_come_to_no_checkpoint_have_an_end(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDTRAIN_RUN", str(run.root))
    monkeypatch.setenv(JOB, "slurm:7")
    for restart in range(5):
        monkeypatch.setenv(CLUSTER, f"7.{restart}")
        for _ in range(2):  # attempts of one start count once
            attempt(run, "infrastructure")
    with pytest.raises(InfrastructureError, match="slurm:7 was started 5 times from the same step"):
        run_job(Console())


def test_settings_of_a_submission_that_cannot_be_read_are_said(run: RunDirectory) -> None:
    known = submit(run)
    path = run.launch / "1" / "settings.yaml"
    path.write_text(yaml.safe_dump({"platform": "elsewhere"}))
    attempt(run, None)
    with pytest.raises(ConfigError, match="cannot be read"):
        submit_again(run, (known, ENDED), Console())
