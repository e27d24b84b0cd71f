"""Runs are asked to stop, and the clock is set back under them."""

import signal
from pathlib import Path

import pytest

from tests.chaos.breaking import classes, ended, finishes, is_saved, moment, ranks, resume, stops, train, wait_for_step


@pytest.mark.parametrize("whom", ["the command", "a rank"])
def test_a_signal_asks_to_stop(folder: Path, reference: Path, whom: str) -> None:
    run = folder / "runs" / f"signal-{whom.replace(' ', '-')}"
    with train(run, folder) as process:
        wait_for_step(run, moment(f"signal {whom}"), process)
        if whom == "a rank":
            ranks(process)[1].send_signal(signal.SIGUSR1)
        else:
            process.send_signal(signal.SIGTERM)
        ended(process, code=75)
    (stop,) = stops(run)
    assert is_saved(run, stop["step"])
    with resume(run, folder) as process:
        said = ended(process)
    assert f"from step {stop['step']}" in said
    assert classes(run) == ["preempted", "done"]
    finishes(run, reference)


def test_the_clock_is_set_back_by_a_day(folder: Path, reference: Path) -> None:
    run = folder / "runs" / "clock"
    with train(run, folder, fault="clock") as process:
        wait_for_step(run, moment("clock"), process)
        (folder / "fault").touch()
        ended(process)
    assert classes(run) == ["done"]
    finishes(run, reference)
