"""What commands leave behind that were killed outright: a directory below /tmp, and processes of Ray that still use it."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import psutil

from orchestrator.scheduling.processes import end_trees

_PREFIX = "midtrain-"
_TRIES, _AGAIN_SECONDS = 10, 0.2
_OWNER = ".owner"  # locked by the process that the directory belongs to, for as long as it lives
_MARK = "MIDTRAIN_FOLDER"  # in the environment of every process that was started for a directory


@contextmanager
def own_folder() -> Iterator[Path]:
    """A directory directly below /tmp, as long as the context lasts; when this process is killed, the next `sweep` of anyone removes it.

    Ray's sockets live below it, and their paths may have 107 characters.
    """
    folder, owner = _claim()
    with owner:
        os.environ[_MARK] = str(folder)
        try:
            yield folder
        finally:
            del os.environ[_MARK]
            _remove(folder)


def _claim() -> tuple[Path, TextIO]:
    """A new directory, and its lock, held."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir="/tmp"))
        owner = (folder / _OWNER).open("w")
        fcntl.flock(owner, fcntl.LOCK_EX)
        if (folder / _OWNER).exists():  # no sweep came between the file and its lock
            return folder, owner
        owner.close()


def sweep() -> None:
    """Clear away what dead commands of this user have left: their processes, then their directories."""
    for folder in Path("/tmp").glob(f"{_PREFIX}*"):
        try:
            if folder.is_dir() and folder.stat().st_uid == os.getuid():
                _sweep(folder)
        except FileNotFoundError:
            continue


def _sweep(folder: Path) -> None:
    with (folder / _OWNER).open("r") as file:  # what has no such file was not made here, or is being made now
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        end_trees(users_of(folder))
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a directory that dying processes may still write to. Its owner's file goes last, or no later `sweep` would try again."""
    for _ in range(_TRIES):
        for path in folder.glob("*"):  # not the owner's: its name begins with a dot
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        if not any(folder.glob("*")):
            shutil.rmtree(folder, ignore_errors=True)
            return
        time.sleep(_AGAIN_SECONDS)


def users_of(folder: Path) -> list[psutil.Process]:
    """This user's processes that were started for a directory."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(_MARK) == str(folder):
                found.append(process)
        except psutil.Error:  # gone, or another user's
            continue
    return found
