"""Runs are asked to stop, and the clock is set back under them."""

import signal
from pathlib import Path

from tests.chaos.breaking import STEPS, classes, ended, finishes, is_saved, moment, ranks, resume, stops, train, wait_for_step


def test_signals_ask_the_command_to_stop_and_then_a_rank(folder: Path, reference: Path) -> None:
    run = folder / "runs" / "signals"
    with train(run, folder) as process:
        wait_for_step(run, moment("SIGTERM to the command") // 2, process)
        process.send_signal(signal.SIGTERM)
        ended(process, code=75)
    saved = stops(run)[-1]["step"]
    assert is_saved(run, saved)
    with resume(run, folder) as process:
        wait_for_step(run, max(saved + 1, STEPS // 2 + moment("SIGUSR1 to a rank") // 4), process)  # of this command's own
        ranks(process)[1].send_signal(signal.SIGUSR1)
        ended(process, code=75)
    assert is_saved(run, stops(run)[-1]["step"])
    with resume(run, folder) as process:
        said = ended(process)
    assert f"from step {stops(run)[1]['step']}" in said
    assert classes(run) == ["preempted", "preempted", "done"]
    finishes(run, reference)


def test_the_clock_is_set_back_by_a_day(folder: Path, reference: Path) -> None:
    run = folder / "runs" / "clock"
    with train(run, folder, fault="clock") as process:
        wait_for_step(run, moment("clock"), process)
        (folder / "fault").touch()
        ended(process)
    assert classes(run) == ["done"]
    finishes(run, reference)
