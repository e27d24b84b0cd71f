"""W&B gets every line once, however often a run is stopped and rewound."""

import signal

import psutil
import pytest

from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines
from orchestrator.tracking.mirroring import mirroring
from orchestrator.tracking.wandb_id import keep_wandb_id, wandb_id
from tests.tracking.inspected import offline_steps
from tests.tracking.mirrored import KEY, NUM_PROCESSES, folder_of, log, processes_of, tracking, wait_for
from tests.tracking.stand_in import StandIn


def test_the_id_is_chosen_once_unless_it_came_with_a_checkpoint(run: RunDirectory) -> None:
    assert wandb_id(run) == wandb_id(run)
    keep_wandb_id(run, "came-along")
    assert wandb_id(run) == "came-along"


def test_off_there_is_an_id_and_no_process(run: RunDirectory) -> None:
    with mirroring(run, tracking("off"), pytest.fail):
        log(run, range(3))
        assert (run.wandb_id.exists(), run.wandb.exists(), run.wandb_log.exists()) == (True, False, False)


def test_online_lines_arrive_while_they_are_written_and_all_are_there_at_the_end(run: RunDirectory, service: StandIn) -> None:
    with mirroring(run, tracking("online"), pytest.fail):
        log(run, range(3))
        wait_for(lambda: bool(service.runs))
        folder = folder_of(run)
        wait_for(lambda: len(processes_of(run, folder)) == NUM_PROCESSES)
        log(run, range(3, 8), from_step=2)
    assert list(service.runs) == [wandb_id(run)]
    assert service.steps() == list(range(8))
    assert [line["loss"] for line in service.runs[wandb_id(run)]] == [line["loss"] for line in read_lines(run.metrics)]
    assert (processes_of(run, folder), folder.exists()) == ([], False)


def test_online_a_resumed_run_goes_on_in_the_same_wandb_run_and_no_step_is_pushed_twice(run: RunDirectory, service: StandIn) -> None:
    for from_step, last_step in ((0, 6), (3, 9), (3, 5)):
        with mirroring(run, tracking("online"), pytest.fail):
            log(run, range(from_step and from_step + 1, last_step + 1), from_step=from_step)
    assert service.steps() == list(range(10))


def test_a_rewind_within_an_attempt_pushes_no_step_twice(run: RunDirectory, service: StandIn) -> None:
    with mirroring(run, tracking("online"), pytest.fail):
        log(run, range(7))
        wait_for(lambda: bool(service.runs))
        log(run, range(3, 9), from_step=2)
    assert service.steps() == list(range(9))


def test_offline_every_attempt_has_a_file_and_no_step_is_in_two(run: RunDirectory) -> None:
    for from_step, last_step in ((0, 6), (3, 9)):
        with mirroring(run, tracking("offline"), pytest.fail):
            log(run, range(from_step and from_step + 1, last_step + 1), from_step=from_step)
    assert offline_steps(run) == [list(range(7)), [7, 8, 9]]


def test_a_signal_that_a_batch_system_sends_to_every_process_does_not_end_the_mirror(run: RunDirectory, service: StandIn) -> None:
    with mirroring(run, tracking("online"), pytest.fail):
        wait_for(lambda: bool(service.runs))
        for process in psutil.Process().children(recursive=True):
            process.send_signal(signal.SIGTERM)
        log(run, range(4))
    assert service.steps() == list(range(4))


def test_when_wandbs_own_process_is_killed_another_one_pushes_the_rest(run: RunDirectory, service: StandIn) -> None:
    with mirroring(run, tracking("online"), pytest.fail):
        log(run, range(4))
        wait_for(lambda: bool(service.runs))
        (process,) = (process for process in psutil.Process().children(recursive=True) if process.name() == "wandb-core")
        process.kill()
        log(run, range(4, 8), from_step=3)
    assert service.steps() == list(range(8))


def test_the_key_is_in_no_file_and_on_no_command_line(run: RunDirectory, service: StandIn) -> None:
    with mirroring(run, tracking("online"), pytest.fail):
        log(run, range(3))
        wait_for(lambda: bool(service.runs))
        assert [line for line in processes_of(run, folder_of(run)) if KEY in line] == []
    files = [path for path in run.root.rglob("*") if path.is_file()]
    assert run.wandb_log in files
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
