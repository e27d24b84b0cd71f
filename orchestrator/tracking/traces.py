"""What a mirror has outside the run directory: W&B's own process, and a folder for its socket. Either can be ended by another process."""

import os
import shutil
import signal
import tempfile
from contextlib import suppress
from pathlib import Path

from orchestrator.runs.directory import RunDirectory


def make_folder(run: RunDirectory) -> None:
    """A folder for what W&B puts into temporary ones, with a path short enough for a socket; that of a mirror that was killed goes.

    Args:
        run: the caller holds its W&B lock.
    """
    remove_folder(run)
    folder = tempfile.mkdtemp(prefix="midtrain-", dir="/tmp")
    _link(run).symlink_to(folder)
    os.environ["TMPDIR"] = tempfile.tempdir = folder


def remove_folder(run: RunDirectory) -> None:
    """Remove the folder that a run's mirror has or had, if there is one."""
    with suppress(OSError):
        shutil.rmtree(_link(run).readlink(), ignore_errors=True)
        _link(run).unlink()


def kill_children(parent: int) -> None:
    """Kill the processes that a process has started, and those that they have. W&B's own one, which has another to sample the machine,
    has a session to itself, so that no process group holds them all."""
    children = _children()
    below = children.pop(parent, [])
    for child in below:  # grows
        below += children.pop(child, [])
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.kill(child, signal.SIGKILL)


def _children() -> dict[int, list[int]]:
    """The children of every process."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            _, parent, *_ = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            children.setdefault(int(parent), []).append(int(stat.parent.name))
    return children


def _link(run: RunDirectory) -> Path:
    return run.wandb / "tmp"
