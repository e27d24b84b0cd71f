"""A person asks a run to stop by a file in its directory."""

from pathlib import Path

import pytest

from orchestrator.runs.attempts import (
    CLUSTER,
    JOB,
    Stop,
    failed_hosts,
    newest_cluster,
    newest_start,
    read_status,
    start_attempt,
    stop_attempt,
)
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.stop_request import request_stop, stop_requested, withdraw_stop


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path)


def test_a_request_means_the_attempts_up_to_its_number_and_none_after(run: RunDirectory) -> None:
    assert stop_requested(run, 1) is None
    request_stop(run, through_attempt=2)
    assert [stop_requested(run, attempt) is not None for attempt in (1, 2, 3)] == [True, True, False]
    withdraw_stop(run)
    assert stop_requested(run, 1) is None
    withdraw_stop(run)


@pytest.mark.parametrize("content", ["", "{", '{"through_attempt": 9}'])
def test_a_request_that_cannot_be_read_is_none(run: RunDirectory, content: str) -> None:
    run.stop_request.write_text(content)
    assert stop_requested(run, 1) is None


def test_an_attempt_says_which_job_and_cluster_it_belongs_to(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (newest_start(run), newest_cluster(run)) == (0, None)
    monkeypatch.setenv(JOB, "slurm:7")
    monkeypatch.setenv(CLUSTER, "7.0")
    start_attempt(run, world_size=1, from_step=0)
    assert (newest_start(run), newest_cluster(run), read_status(run).job) == (1, "7.0", "slurm:7")
    monkeypatch.delenv(CLUSTER)
    start_attempt(run, world_size=1, from_step=0)
    assert (newest_start(run), newest_cluster(run)) == (2, None)


def test_a_host_is_charged_with_the_failures_of_a_job_that_were_its_alone(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    for job, hosts in ((6, ["n1"]), (7, ["n1"]), (7, ["n1", "n2"]), (7, ["n1"]), (7, []), (7, ["n2"])):
        monkeypatch.setenv(JOB, f"slurm:{job}")
        attempt = start_attempt(run, world_size=2, from_step=0)
        stop_attempt(run, attempt, Stop(step=1, reason="died", reason_class="infrastructure", exit_code=6, failed_hosts=hosts))
    assert failed_hosts(run, "slurm:7") == {"n1": 2, "n2": 1}
