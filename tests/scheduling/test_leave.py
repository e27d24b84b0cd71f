"""What a pod does before it is stopped."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

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


def test_a_pod_waits_until_its_ranks_and_its_command_have_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDTRAIN_RUN", str(tmp_path))
    rank = subprocess.Popen(["ray::RankProcess.work", "-c", OBEDIENT], executable=sys.executable, stdout=subprocess.PIPE, text=True)
    (tmp_path / "midtrain").write_text(OBEDIENT)
    command = subprocess.Popen([sys.executable, str(tmp_path / "midtrain"), "job"], stdout=subprocess.PIPE, text=True)
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
