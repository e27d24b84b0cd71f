"""What a killed command left behind goes with the next one; what belongs to a living one stays."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from orchestrator.scheduling.leftovers import own_folder, sweep
from tests.support.waiting import gone, wait_for

# A command with a directory, and a process started for it that survives it in a session of its own, as Ray's agents do.
COMMAND = """
import subprocess, sys
from orchestrator.scheduling.leftovers import own_folder
with own_folder() as folder:
    (folder / "session").mkdir()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    print(folder, child.pid, flush=True)
    sys.stdin.read()
"""


@contextmanager
def command() -> Iterator[tuple[subprocess.Popen[str], Path, psutil.Process]]:
    process = subprocess.Popen([sys.executable, "-c", COMMAND], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    folder, child = process.stdout.readline().split()
    survivor = psutil.Process(int(child))
    try:
        yield process, Path(folder), survivor
    finally:
        process.kill()
        process.wait()
        if survivor.is_running():
            survivor.kill()


def test_the_next_command_clears_away_what_a_killed_one_left() -> None:
    with command() as (process, folder, survivor):
        sweep()
        assert folder.is_dir()
        assert not gone(survivor)
        process.kill()
        process.wait()
        sweep()
        assert not folder.exists()
        wait_for(lambda: gone(survivor))


def test_a_directory_of_the_same_name_that_no_command_made_is_left_alone(tmp_path: Path) -> None:
    stranger = Path("/tmp") / f"midtrain-{tmp_path.name}-{time.monotonic_ns()}"
    stranger.mkdir()
    try:
        sweep()
        assert stranger.is_dir()
    finally:
        stranger.rmdir()


def test_a_directory_goes_with_its_context() -> None:
    with own_folder() as folder:
        sweep()
        assert folder.is_dir()
    assert not folder.exists()


WRITES_ON = """
import pathlib, sys, time
until = time.monotonic() + 1
while time.monotonic() < until:
    for name in ("session", "session/logs"):
        (pathlib.Path(sys.argv[1]) / name).mkdir(exist_ok=True)
"""


def test_a_directory_that_a_dying_process_still_writes_to_goes_all_the_same() -> None:
    with own_folder() as folder:
        writer = subprocess.Popen([sys.executable, "-c", WRITES_ON, str(folder)], env={}, stderr=subprocess.DEVNULL)
        wait_for(lambda: (folder / "session").exists())
    writer.wait()
    sweep()
    assert not folder.exists()
