"""What a pod does before it is stopped."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from orchestrator.scheduling import leave as leaving
from tests.scheduling.test_ray_node import answers, free_port
from tests.support.waiting import wait_for

OBEDIENT = """
import signal, sys, time
done = []
signal.signal(signal.SIGINT, lambda *_: done.append(1))
print("ready", flush=True)
while not done:
    time.sleep(0.05)
time.sleep(1.0)  # it saves
print("saved", flush=True)
"""


COMMAND = """
import sys, time
sys.path.insert(0, ".")
from orchestrator.scheduling.asked import asked_to_stop, noting_signals
with noting_signals(["TERM"]):
    print("ready", flush=True)
    while not asked_to_stop():
        time.sleep(0.05)
time.sleep(1.0)  # its ranks save
print("saved", flush=True)
"""
PATIENT = OBEDIENT.replace("while not done", "import os\nwhile not os.path.exists(os.environ['GO'])").replace('"saved"', "done")


def block_sigint() -> None:
    """As Ray does for the entrypoints of its jobs."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # what a shell has started in the background ignores it
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])


def test_a_pod_waits_until_its_ranks_and_its_command_have_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDTRAIN_RUN", str(tmp_path))
    rank = subprocess.Popen(["ray::RankProcess.work", "-c", OBEDIENT], executable=sys.executable, stdout=subprocess.PIPE, text=True)
    (tmp_path / "midtrain").write_text(COMMAND)
    words = [sys.executable, str(tmp_path / "midtrain"), "job"]
    command = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, preexec_fn=block_sigint)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "job"])
    try:
        assert [process.stdout and process.stdout.readline() for process in (rank, command)] == ["ready\n"] * 2
        subprocess.run([sys.executable, "-m", "orchestrator.scheduling.leave"], check=True, timeout=30)
        wait_for(lambda: rank.poll() is not None and command.poll() is not None, 1)
        assert [process.stdout and process.stdout.read() for process in (rank, command)] == ["saved\n"] * 2
        assert psutil.pid_exists(other.pid) and other.poll() is None
    finally:
        for process in (rank, command, other):
            process.kill()
            process.wait()


def test_a_pod_without_them_leaves_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDTRAIN_RUN", str(tmp_path))
    subprocess.run([sys.executable, "-m", "orchestrator.scheduling.leave"], check=True, timeout=30)


def test_a_pod_of_ranks_alone_is_drained_so_that_they_save_and_go_on_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDTRAIN_RUN", str(tmp_path))
    monkeypatch.setenv("GO", str(tmp_path / "go"))
    drained: list[bool] = []

    def drain() -> bool:
        drained.append(True)
        (tmp_path / "go").touch()
        return True

    monkeypatch.setattr(leaving, "drain", drain)
    rank = subprocess.Popen(["ray::RankProcess.work", "-c", PATIENT], executable=sys.executable, stdout=subprocess.PIPE, text=True)
    try:
        assert rank.stdout and rank.stdout.readline() == "ready\n"
        leaving.leave()
        assert (drained, rank.wait(timeout=5), rank.stdout.read()) == ([True], 0, "[]\n"), "it got no signal of its own"
    finally:
        rank.kill()
        rank.wait()


AT_WORK = """
import sys, ray
from orchestrator.scheduling.cluster import cluster_nodes, draining_nodes
from orchestrator.scheduling.leave import drain

@ray.remote(num_cpus=1)
class Rank:
    def stand(self):
        pass

ray.init(address=sys.argv[1], log_to_driver=False)
rank = Rank.remote()
ray.get(rank.stand.remote())
print(len(draining_nodes()), len(cluster_nodes()))
print(drain())
print(len(draining_nodes()), len(cluster_nodes()))
"""


def test_ray_hears_that_a_node_is_taken_away_and_it_is_none_for_ranks_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDTRAIN_RUN", str(tmp_path))
    assert not leaving.drain(), "there is no Ray"
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "of-this-test" * 6)
    port = free_port()
    words = ["--address", f"localhost:{port}", "--num-cpus", "1", "--num-gpus", "0", "--head"]
    node = subprocess.Popen([sys.executable, "-m", "orchestrator.scheduling.ray_node", *words], stdin=subprocess.PIPE)
    try:
        wait_for(lambda: answers(port), 60)
        looked = subprocess.run(
            [sys.executable, "-c", AT_WORK, f"localhost:{port}"], capture_output=True, text=True, timeout=60, check=True
        )
        assert looked.stdout.split() == ["0", "1", "True", "1", "0"]
    finally:
        assert node.stdin
        node.stdin.close()
        node.wait(timeout=60)
