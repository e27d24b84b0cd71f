"""Locks of files, and file systems that have none."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from orchestrator.runs.locks import is_held, next_holder, only_holder


def test_one_holds_a_lock_at_a_time(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    assert not is_held(lock)
    with only_holder(lock, RuntimeError("held")):
        assert is_held(lock)
        with pytest.raises(RuntimeError, match="held"), only_holder(lock, RuntimeError("held")):
            pass
    assert not is_held(lock)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_where_there_are_no_locks_nobody_is_seen_to_hold_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def without(file: object, kind: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", without)
    with only_holder(tmp_path / "lock", RuntimeError("held")), next_holder(tmp_path / "other"):
        assert not is_held(tmp_path / "lock")


def test_other_troubles_with_a_lock_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(file: object, kind: int) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(fcntl, "flock", stale)
    with pytest.raises(OSError, match="Stale"), only_holder(tmp_path / "lock", RuntimeError("held")):
        pass
