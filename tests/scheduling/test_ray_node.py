"""A node of a Ray cluster that lasts as long as the job that holds it, and no longer."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from orchestrator.runs.attempts import CLUSTER, start_attempt
from orchestrator.runs.directory import RunDirectory
from orchestrator.scheduling import ray_node
from tests.support.waiting import gone, wait_for

ENDS_AT_ONCE = [sys.executable, "-c", "import sys; print('no memory'); sys.exit(3)"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "of-this-test" * 6)
    port = free_port()
    words = ["--address", f"localhost:{port}", "--num-cpus", "1", "--num-gpus", "0", "--head"]
    process = subprocess.Popen([sys.executable, "-m", "orchestrator.scheduling.ray_node", *words], stdin=subprocess.PIPE)
    yield process, port
    process.kill()
    process.wait()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_it_heeds_the_end_of_its_input_and_no_signal(head: tuple[subprocess.Popen[bytes], int]) -> None:
    process, port = head
    wait_for(lambda: answers(port) and any("raylet" in child.name() for child in below(process)), 60)
    everything = below(process)
    for one in everything:  # as Slurm does to all processes of a step
        one.send_signal(signal.SIGTERM)
    folder = next(one.environ()["MIDTRAIN_FOLDER"] for one in everything if "MIDTRAIN_FOLDER" in one.environ())
    servers = [one for one in everything if one.name() in ("raylet", "gcs_server")]
    assert len(servers) == 2
    with pytest.raises(AssertionError, match="it did not come to pass"):  # they would need a moment to go, and have three seconds
        wait_for(lambda: any(map(gone, servers)), 3)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=30) == 0
    wait_for(lambda: all(map(gone, everything)))
    assert not Path(folder).exists()


def below(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def test_what_cannot_be_kept_up_is_said_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ray_node, "_AGAIN_SECONDS", 0.01)
    assert ray_node.keep_node(ENDS_AT_ONCE, tmp_path, 2, threading.Event()) == 3
    said = capsys.readouterr().out
    assert said.count("went down with exit code 3") == 2 and "start 2 of 2" in said and "no memory" in said


def test_it_ends_when_the_run_goes_on_in_another_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_node, "_LEDGER_SECONDS", 0.05)
    run = RunDirectory(tmp_path)

    def start(cluster: str) -> None:
        with monkeypatch.context() as changed:
            changed.setenv(CLUSTER, cluster)
            start_attempt(run, world_size=1, from_step=0)

    start("5.0")
    monkeypatch.setenv("MIDTRAIN_RUN", str(tmp_path))
    monkeypatch.setenv(CLUSTER, "5.1")
    over = threading.Event()
    watcher = threading.Thread(target=ray_node.wait_for_another_cluster, args=(over,), daemon=True)
    watcher.start()
    assert not over.wait(0.3)  # an attempt of the cluster before this one does not count
    start("5.1")
    assert not over.wait(0.3)
    start("5.2")
    assert over.wait(5)
    watcher.join(5)
    assert os.environ[CLUSTER] == "5.1"
