"""How runs stand, from their directories alone."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from orchestrator.commands.console import Console
from orchestrator.commands.status import find_runs, run_status, show_statuses
from orchestrator.config.load import load_config
from orchestrator.errors import ConfigError
from orchestrator.platforms.job import JobState
from orchestrator.platforms.submissions import Submission
from orchestrator.runs.attempts import Stop, only_attempt, start_attempt, stop_attempt
from orchestrator.runs.directory import RunDirectory
from orchestrator.tracking.metrics import MetricsFile
from tests.commands.command_line import midtrain
from tests.commands.listing import listing
from tests.support.prepared import make_run, write_prepared
from tests.support.tiny import overrides


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("status")
    write_prepared(folder)
    return folder


@pytest.fixture
def run(home: Path, request: pytest.FixtureRequest) -> RunDirectory:
    """A run that was planned and never started, with the name of the test."""
    return make_run(load_config(overrides(home, **{"run.dir": home / "runs" / request.node.originalname})))


def log_steps(run: RunDirectory, *steps: int) -> None:
    file = MetricsFile(run.metrics, 0)
    for step in steps:
        file.write({"step": step})
    file.close()


def stop(run: RunDirectory, reason_class: str, exit_code: int) -> None:
    attempt = start_attempt(run, world_size=1, from_step=0)
    stop_attempt(run, attempt, Stop(step=4, reason="because", reason_class=reason_class, exit_code=exit_code))


def test_a_planned_run_is_at_step_0_of_its_plan(run: RunDirectory) -> None:
    status = run_status(run)
    assert (status.run, status.state, status.step, status.steps, status.attempts) == (str(run.root), "planned", 0, 10, 0)
    assert (status.reason, status.exit_code, status.platform, status.loss, status.seconds_left) == (None,) * 5
    assert (status.goodput, set(status.seconds.values())) == (0.0, {0.0})


def test_a_running_run_is_at_the_last_step_that_it_logged(run: RunDirectory) -> None:
    with only_attempt(run):
        start_attempt(run, world_size=1, from_step=0)
        log_steps(run, 0, 1, 2, 3)
        with run.metrics.open("a") as file:
            file.write('{"step": 4')
        status = run_status(run)
    assert (status.state, status.step, status.attempts) == ("running", 3, 1)


@pytest.mark.parametrize(("reason_class", "exit_code", "state"), [("done", 0, "finished"), ("preempted", 75, "stopped")])
def test_a_run_that_ended_says_why(home: Path, reason_class: str, exit_code: int, state: str) -> None:
    run = make_run(load_config(overrides(home, **{"run.dir": home / "runs" / state})))
    stop(run, reason_class, exit_code)
    status = run_status(run)
    assert (status.state, status.reason, status.reason_class, status.exit_code) == (state, "because", reason_class, exit_code)


SUBMISSION = Submission(number=1, platform="slurm", profile="slurm", key="k", job="7", from_step=0)


@pytest.mark.parametrize(
    ("ended", "job", "state", "reason"),
    [
        (None, JobState(phase="waiting", word="PENDING", why="Priority"), "queued", None),
        (None, JobState(phase="running", word="RUNNING"), "starting", None),
        (None, JobState(phase="ended", word="FAILED", why="NonZeroExitCode"), "lost", "its job ended before its first attempt: FAILED"),
        (None, JobState(phase="unknown", why="no answer"), "unknown", "no answer"),
        ("stopped", JobState(phase="unknown", why="no answer"), "unknown", "no answer"),  # by an attempt before this submission
        ("preempted", JobState(phase="waiting", word="PENDING"), "queued", "because"),
        ("preempted", JobState(phase="running", word="RUNNING"), "starting", "because"),
        ("preempted", JobState(phase="gone"), "stopped", "because"),
        ("done", JobState(phase="ended", word="COMPLETED"), "finished", "because"),
        ("", JobState(phase="running", word="RUNNING"), "running", None),
        ("", JobState(phase="waiting", word="PENDING"), "queued", "ended without a word"),
        ("", JobState(phase="ended", word="NODE_FAIL"), "lost", "its job: NODE_FAIL"),
        ("", JobState(phase="unknown", why="no answer"), "unknown", "no answer"),
    ],
)
def test_the_ledger_and_the_platform_together_say_how_a_run_stands(
    tmp_path: Path, home: Path, ended: str | None, job: JobState, state: str, reason: str | None
) -> None:
    run = make_run(load_config(overrides(home, **{"run.dir": tmp_path / "run"})))
    if ended is not None:
        attempt = start_attempt(run, world_size=1, from_step=0)
        if ended:
            stop_attempt(run, attempt, Stop(step=4, reason="because", reason_class=ended, exit_code=75))
    found = run_status(run, (SUBMISSION, job))
    assert (found.state, found.platform, found.job) == (state, "slurm", "7")
    assert reason in (found.reason or "") if reason else found.reason is None


def test_a_job_that_ended_before_its_first_attempt_leads_to_whatever_was_written(run: RunDirectory) -> None:
    ended = (SUBMISSION, JobState(phase="ended", word="FAILED"))
    assert (run_status(run, ended).reason or "").endswith(f"See what the platform wrote, if it did, in {run.launch}.")
    run.job_log.parent.mkdir(exist_ok=True)
    run.job_log.touch()
    assert (run_status(run, ended).reason or "").endswith("See `midtrain logs`.")


def test_asking_changes_nothing(run: RunDirectory) -> None:
    stop(run, "preempted", 75)
    log_steps(run, 0, 1)
    before = listing(run.root)
    run_status(run)
    assert listing(run.root) == before


def test_a_directory_that_is_no_run_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{tmp_path} is not a run"):
        run_status(RunDirectory(tmp_path))


def test_the_runs_of_a_folder_are_those_with_a_plan_by_name(tmp_path: Path) -> None:
    for name in ("b", "a", "not-a-run", "deep/c"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("b", "a", "deep/c"):
        (tmp_path / name / "plan.json").touch()
    assert [run.root.name for run in find_runs(tmp_path)] == ["a", "b"]
    assert find_runs(tmp_path / "nowhere") == []


def test_the_command_prints_json_for_scripts_and_changes_nothing(run: RunDirectory, home: Path) -> None:
    stop(run, "preempted", 75)
    log_steps(run, 0, 1, 2)
    before = listing(home)
    alone, everything = (midtrain("status", *words, "--json", cwd=home) for words in ([str(run.root)], []))
    assert [(ended.returncode, ended.stderr) for ended in (alone, everything)] == [(0, "")] * 2
    assert json.loads(alone.stdout) == asdict(run_status(run))
    listed = [status["run"] for status in json.loads(everything.stdout)]
    assert sorted(listed) == sorted(f"runs/{path.name}" for path in (home / "runs").iterdir())
    assert listing(home) == before


def test_a_run_that_cannot_be_read_does_not_hide_the_others_and_is_an_error_alone(tmp_path: Path, home: Path) -> None:
    good, bad = (make_run(load_config(overrides(home, **{"run.dir": tmp_path / "runs" / name}))) for name in ("good", "bad"))
    bad.plan.write_text("{")
    (bad.launch).mkdir()
    (bad.launch / "submissions.jsonl").write_text("nonsense\nmore\n")
    everything = midtrain("status", "--json", cwd=tmp_path)
    assert everything.returncode == 0, everything.stderr
    found = {Path(status["run"]).name: status for status in json.loads(everything.stdout)}
    assert (found["good"]["state"], found["bad"]["state"]) == ("planned", "unknown")
    assert "plan.json" in found["bad"]["reason"]
    alone = midtrain("status", str(bad.root), cwd=tmp_path)
    assert alone.returncode != 0 and "Traceback" not in alone.stderr
    assert midtrain("status", str(good.root), cwd=tmp_path).returncode == 0


def test_people_see_a_row_a_run(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    stop(run, "preempted", 75)
    log_steps(run, 0, 1, 2)
    show_statuses([asdict(run_status(run))], Console())
    out, err = capsys.readouterr()
    assert [part for part in (str(run.root), "stopped", "2 of 10", "because") if part not in out] == []
    assert err == ""
