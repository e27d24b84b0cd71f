"""`midtrain stop` of runs that are between two attempts, or that their platform has given up."""

from pathlib import Path

import pytest

from orchestrator.commands import stopping
from orchestrator.commands.console import Console
from orchestrator.commands.stopping import stop
from orchestrator.commands.watching import submit_again
from orchestrator.config.load import load_config
from orchestrator.platforms.job import JobState
from orchestrator.platforms.submissions import Submission
from orchestrator.runs.attempts import Stop, start_attempt, stop_attempt
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.stop_request import stop_requested
from tests.support.prepared import make_run, write_prepared
from tests.support.tiny import overrides

KNOWN = Submission(number=1, platform="slurm", profile="slurm", key="k", from_step=0, job="7")


class Cancelling:
    """Stands in for a platform."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []

    def cancel(self, job: str, key: str) -> None:
        self.cancelled.append(job)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    write_prepared(tmp_path)
    run = make_run(load_config(overrides(tmp_path, **{"run.dir": tmp_path / "run"})))
    stop_attempt(run, start_attempt(run, world_size=1, from_step=0), Stop(step=3, reason="x", reason_class="preempted", exit_code=75))
    return run


def test_a_run_that_its_platform_has_given_up_is_not_submitted_again_once_it_is_stopped(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = (KNOWN, JobState(phase="ended", word="PREEMPTED", given_up=True))
    monkeypatch.setattr(stopping, "job_of", lambda run: found)
    stop(run, Console())
    assert "It will not be submitted again" in capsys.readouterr().out
    assert stop_requested(run, 2) and not submit_again(run, found, Console())


def test_a_job_that_comes_to_wait_for_another_start_while_its_run_is_asked_to_stop_is_cancelled(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stopping, "_LOOK_SECONDS", 0.01)
    states = [JobState(phase="running", word="COMPLETING")] * 3 + [JobState(phase="waiting", word="PENDING")]
    monkeypatch.setattr(stopping, "job_of", lambda run: (KNOWN, states.pop(0)))
    platform = Cancelling()
    monkeypatch.setattr(stopping, "platform_of", lambda run, submission: platform)
    stop(run, Console())
    assert platform.cancelled == ["7"] and states == []
    assert "job 7 is cancelled" in capsys.readouterr().out
