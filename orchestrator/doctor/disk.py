"""The file system that a run directory is on: really written to, as its free space says nothing of quotas."""

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.doctor.clocks import Offset, judge_offset
from orchestrator.doctor.findings import Finding, at_least, at_most, finding
from orchestrator.runs.durable import write_whole

PROBE_PREFIX = ".midtrain-doctor-"

_PROBE_BYTES = 64 << 20
_BLOCK_BYTES = 1 << 20
# A model of 7 B parameters saves 14 bytes for each (bf16 weights, float32 weights and AdamW's moments): 98 GB, in half an hour at 54 MB/s.
_ENOUGH_BYTES_PER_SECOND = 50e6
_ENOUGH_SMALL_SECONDS = 1.0  # ledger, fence, COMMIT: each is a small file that is waited for
_ENOUGH_FREE_BYTES = 10 << 30
_FEWEST_FREE_FILES = 10_000
_REMEDIES = {
    errno.ENOSPC: "Free space on it, or set run.dir to another file system.",
    errno.EDQUOT: "The quota is spent, whatever df shows: free space, have it raised, or set run.dir to another file system.",
    errno.EACCES: "Let this user write there, or set run.dir to a directory where it may.",
    errno.EROFS: "It is mounted read-only here: have it mounted for writing, or set run.dir to another file system.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class DiskFacts:
    """Of a directory's file system.

    Attributes:
        write_seconds: for `size_bytes`, until they were on disk.
        small_seconds: until a file of 64 bytes was written, on disk, and had its name.
        free_bytes, free_files: as the file system says; files: none where it does not count them.
        clock: how far the clock that stamps its files is ahead of this machine's.
    """

    size_bytes: int
    write_seconds: float
    small_seconds: float
    free_bytes: int
    free_files: int | None
    clock: Offset


def nearest_directory(path: Path) -> Path:
    """The directory itself, or the first one above it that exists: where it would be made."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


@contextmanager
def probe_folder(directory: Path) -> Iterator[Path]:
    """A folder in a directory for as long as the context lasts.

    Raises:
        OSError: it cannot be made.
    """
    folder = Path(tempfile.mkdtemp(prefix=PROBE_PREFIX, dir=directory))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_disk(run: Path, where: str, *, clock: Callable[[], float] = time.time) -> list[Finding]:
    """Write where a run will be written.

    Args:
        run: its directory, which need not exist; what exists of its path is written to, and left as it was.
        where: the name of this machine.
        clock: this machine's, in seconds since 1970.
    """
    directory = nearest_directory(run)
    try:
        with probe_folder(directory) as folder:
            facts = write_probe(folder, _PROBE_BYTES, clock)
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, "See what is wrong with it, or set run.dir to another file system.")
        value = f"{directory} cannot be written: {error.strerror or error}"
        return [finding("run directory", where, "bad", value, limit=f"{_PROBE_BYTES >> 20} MiB written", remedy=remedy)]
    return list(judge_disk(facts, directory, where))


def write_probe(folder: Path, size_bytes: int, clock: Callable[[], float]) -> DiskFacts:
    """Write a large file and a small one into a folder.

    Raises:
        OSError: it cannot be done.
    """
    began = time.monotonic()
    with (folder / "large").open("wb") as file:
        for _ in range(size_bytes // _BLOCK_BYTES):
            file.write(os.urandom(_BLOCK_BYTES))  # what a file system can neither compress nor share
        file.flush()
        os.fsync(file.fileno())
    written = time.monotonic()
    before = clock()
    write_whole(folder / "small", os.urandom(64))
    after, small = clock(), time.monotonic() - written
    stamped = (folder / "small").stat().st_mtime
    room = os.statvfs(folder)
    return DiskFacts(
        size_bytes=size_bytes,
        write_seconds=written - began,
        small_seconds=small,
        free_bytes=room.f_bavail * room.f_frsize,
        free_files=room.f_favail if room.f_files else None,
        clock=Offset(seconds=stamped - (before + after) / 2, uncertainty_seconds=(after - before) / 2),
    )


def judge_disk(facts: DiskFacts, directory: Path, where: str) -> Iterator[Finding]:
    """What of it would harm a run."""
    speed = facts.size_bytes / facts.write_seconds
    yield finding(
        "run directory",
        where,
        at_least(speed, enough=_ENOUGH_BYTES_PER_SECOND),
        f"{facts.size_bytes >> 20} MiB written and synced in {facts.write_seconds:.2f} s, {speed / 1e6:,.0f} MB/s, in {directory}",
        limit=f"{_ENOUGH_BYTES_PER_SECOND / 1e6:.0f} MB/s",
        remedy="Saves would take long: set run.dir to a faster file system, or save less often (checkpoints.every_steps).",
    )
    yield finding(
        "small files",
        where,
        at_most(facts.small_seconds, enough=_ENOUGH_SMALL_SECONDS),
        f"{facts.small_seconds * 1000:,.1f} ms to write, sync and rename one",
        limit=f"{_ENOUGH_SMALL_SECONDS:.0f} s",
        remedy="Set run.dir to a file system whose metadata server is less busy.",
    )
    files = facts.free_files
    is_full = files is not None and files < _FEWEST_FREE_FILES
    yield finding(
        "free space",
        where,
        "bad" if is_full else at_least(facts.free_bytes, enough=_ENOUGH_FREE_BYTES),
        f"{facts.free_bytes / 2**30:,.1f} GiB{'' if files is None else f', {files:,} files'}",
        limit=f"{_ENOUGH_FREE_BYTES >> 30} GiB, {_FEWEST_FREE_FILES:,} files",
        remedy="Free some, or set run.dir to another file system. A checkpoint takes about 14 bytes a trained parameter.",
    )
    yield judge_offset("storage clock", where, facts.clock)
