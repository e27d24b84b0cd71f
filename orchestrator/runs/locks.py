"""Locks that a process holds for as long as it lives: the kernel lets go of them however it ends.

Where a file system has none, as Lustre mounted without `flock`, nobody is seen to hold one; attempts that overlap are the fence's to part.
"""

import errno
import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)
_TRIES = 5  # who only looks whether it is held has it for a moment


@contextmanager
def only_holder(lock: Path, refusal: Exception) -> Iterator[None]:
    """Hold a lock.

    Args:
        lock: its file, made if need be, and left behind.
        refusal: what to raise when another process holds it.
    """
    with lock.open("a", encoding="utf-8") as file:
        if not any(_takes(file, fcntl.LOCK_EX) for _ in range(_TRIES)):
            raise refusal
        yield


@contextmanager
def next_holder(lock: Path) -> Iterator[None]:
    """Hold a lock once nobody else does.

    Args:
        lock: its file, made if need be, and left behind.
    """
    with lock.open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as failure:
            if failure.errno not in _NO_LOCKS:
                raise
        yield


def is_held(lock: Path) -> bool:
    """Whether a process holds a lock."""
    if not lock.exists():
        return False
    with lock.open("r", encoding="utf-8") as file:
        return not _takes(file, fcntl.LOCK_SH)


def _takes(file: TextIO, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(0.1)
        return False
    except OSError as failure:
        if failure.errno not in _NO_LOCKS:
            raise
    return True
