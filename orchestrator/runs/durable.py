"""Files that are there whole or not at all, and stay after a power cut; and what tells later whether their bytes are still the same."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import xxhash


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file as it was written: its path below some directory, bytes, and xxh3-128."""

    path: str
    size_bytes: int
    xxhash: str


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under another name, put it on disk, then give it its name, and put that on disk.

    Raises:
        OSError: it cannot be written; what was there before is untouched.
    """
    with writing_whole(path) as file:
        file.write(data)


@contextmanager
def writing_whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write to; what is written is there under its name, and on disk, when the context ends without an error.

    Raises:
        OSError: it cannot be written; what was there before is untouched.
    """
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Put a directory's entries on disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def hash_file(path: Path) -> str:
    """The xxh3-128 of a file's bytes, in hexadecimal."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while chunk := file.read(1 << 24):
            digest.update(chunk)
    return digest.hexdigest()
