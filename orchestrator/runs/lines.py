"""Files of JSON lines: appended to, and read while they are."""

import errno
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import DataError


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file, in order; none when there is no file. What a killed writer or a full disk left unfinished is not one.

    Raises:
        DataError: a line is not what was written.
    """
    if not path.exists():
        return
    *lines, _ = path.read_text(encoding="utf-8", errors="replace").split("\n")
    for number, line in enumerate(lines, 1):
        if not line.endswith("}"):
            continue
        try:
            yield json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}:{number} is damaged: {error}. Put the line right, or take it out if nothing needs it.") from None


def version_of(path: Path) -> tuple[int, int, int]:
    """What changes whenever a file is written: who has read it need not read it again while it is the same."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return (0, 0, 0)
    return (facts.st_ino, facts.st_mtime_ns, facts.st_size)


def append_line(path: Path, values: Mapping[str, Any]) -> None:
    """Add a line, on disk when this returns. Any thread of any process may; a line is one write.

    Raises:
        OSError: it could not be written whole. What is left of it is no line, unless it lacks only its end, and does no harm to the next.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        line = b"\n" * torn + json.dumps(values).encode() + b"\n"
        if os.write(descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
