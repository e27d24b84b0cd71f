"""A process that hangs writes its stacks, stopped or not, and is ended with its children."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from orchestrator.scheduling import stacks
from orchestrator.scheduling.phases import Sighting
from orchestrator.scheduling.stacks import end_on_node
from tests.scheduling.sightings import sighting
from tests.support.waiting import gone, wait_for

HANGING = """
import faulthandler, signal, subprocess, sys, threading
faulthandler.register(signal.SIGQUIT, file=open(sys.argv[1], "a"), all_threads=True)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
def waits_for_the_others(): threading.Event().wait()
threading.Thread(target=waits_for_the_others, daemon=True).start()
print(child.pid, flush=True)
threading.Event().wait()
"""


@contextmanager
def hanging(log: Path, rank: int) -> Iterator[tuple[psutil.Process, psutil.Process, Sighting]]:
    log.touch()
    process = subprocess.Popen([sys.executable, "-c", HANGING, str(log)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    child = psutil.Process(int(process.stdout.readline()))
    rank_process = psutil.Process(process.pid)
    try:
        yield rank_process, child, sighting(rank, pid=process.pid, created=rank_process.create_time(), log=str(log))
    finally:
        process.kill()
        process.wait()
        if child.is_running():
            child.kill()


def test_all_ranks_write_the_stacks_of_all_threads_and_go_with_their_children(tmp_path: Path) -> None:
    with hanging(tmp_path / "0.log", 0) as (waits, _, seen), hanging(tmp_path / "1.log", 1) as (stopped, child, stopped_seen):
        stopped.suspend()
        wait_for(lambda: stopped.status() == psutil.STATUS_STOPPED)
        states = end_on_node([seen, stopped_seen])
        assert states[0].startswith("sleeping")
        assert states[1].startswith("stopped (state T)")
        for log in ("0.log", "1.log"):
            text = (tmp_path / log).read_text()
            assert "waits_for_the_others" in text
            assert text.count("hread 0x") >= 2
        wait_for(lambda: all(map(gone, (waits, stopped, child))))


def test_a_process_that_has_the_number_of_a_rank_that_died_is_not_touched(tmp_path: Path) -> None:
    with hanging(tmp_path / "0.log", 0) as (process, _, seen):
        other = sighting(0, pid=seen.pid, created=seen.created - 60, log=seen.log)
        assert end_on_node([other]) == {0: "dead"}
        assert process.status() != psutil.STATUS_ZOMBIE
        assert (tmp_path / "0.log").read_text() == ""


class Lost:
    """Stands in for a Ray that has asked something of a node and hears nothing."""

    def __init__(self, alive: list[bool]) -> None:
        self.alive = alive

    def wait(self, references: list[object], timeout: float) -> tuple[list[object], list[object]]:
        return [], references

    def nodes(self) -> list[dict[str, object]]:
        return [{"NodeID": "other", "Alive": True}, {"NodeID": "lost", "Alive": self.alive.pop(0)}]


def test_a_node_that_is_known_to_be_dead_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = Lost([True, True, False])
    monkeypatch.setattr(stacks, "ray", ray)
    stacks.wait_for_node("reference", "lost", time.monotonic() + 600)
    assert ray.alive == []
    stacks.wait_for_node("reference", "lost", time.monotonic())
