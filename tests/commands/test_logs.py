"""What a run says is shown from its files, as it comes, without doing anything to the run."""

import threading
from pathlib import Path

import pytest

from orchestrator.commands import logs
from orchestrator.commands.logs import log_file, show_log
from orchestrator.errors import ConfigError
from orchestrator.runs.attempts import JOB, start_attempt
from orchestrator.runs.directory import RunDirectory


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "run")
    run.job_log.parent.mkdir(parents=True)
    return run


def test_who_follows_gets_what_is_written_until_the_run_is_over_also_when_the_file_begins_anew(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(logs, "_STATE_SECONDS", 0.0)
    run.job_log.write_text("one\n")
    said, over = [], threading.Event()

    def write(text: str) -> None:
        said.append(text)
        if text.endswith("one\n"):
            with run.job_log.open("a") as file:
                file.write("two\n")
        elif text.endswith("two\n"):
            run.job_log.write_text("3\n")
        else:
            over.set()

    show_log(run.job_log, write, follow=True, is_over=over.is_set)
    assert "".join(said) == "one\ntwo\n3\n"


def test_who_does_not_follow_gets_what_is_there(run: RunDirectory) -> None:
    run.job_log.write_text("one\n")
    said: list[str] = []
    show_log(run.job_log, said.append, follow=False, is_over=lambda: False)
    assert said == ["one\n"]


def test_a_log_is_that_of_the_job_or_of_the_attempt_and_rank_that_are_named(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=rf"not been started yet: .* what the platform wrote, if it did, in {run.launch}\."):
        log_file(run, rank=None, attempt=None)
    run.job_log.touch()
    assert log_file(run, rank=None, attempt=None) == run.job_log
    monkeypatch.setenv(JOB, "slurm:7")
    start_attempt(run, world_size=2, from_step=0)
    run.logs(1).mkdir()
    for rank in (0, 1):
        (run.logs(1) / f"host-{rank}.log").touch()
    assert log_file(run, rank=None, attempt=None) == run.job_log
    assert log_file(run, rank=None, attempt=1) == run.logs(1) / "driver.log"
    assert log_file(run, rank=1, attempt=None) == run.logs(1) / "host-1.log"
    with pytest.raises(ConfigError, match=r"no log of rank 2 in attempt 1\. Ranks: 0 to 1"):
        log_file(run, rank=2, attempt=1)
    with pytest.raises(ConfigError, match=r"no logs of attempt 3\. Attempts with logs: 1"):
        log_file(run, rank=None, attempt=3)
