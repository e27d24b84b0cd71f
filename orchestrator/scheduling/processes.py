"""Ending processes."""

import signal
from collections.abc import Iterable
from contextlib import suppress

import psutil


def end_trees(processes: Iterable[psutil.Process]) -> None:
    """Kill processes and all their children, by their ids; the children first, so that none is forgotten."""
    for process in processes:
        with suppress(psutil.Error):
            for child in process.children(recursive=True):
                send(child, signal.SIGKILL)
        send(process, signal.SIGKILL)


def send(process: psutil.Process, number: int) -> None:
    """Send a signal, unless the process is gone; psutil looks whether the id is still its own."""
    with suppress(psutil.Error):
        process.send_signal(number)
