"""What was no document, written down as it comes: however much that is, only its count and its beginning are kept in memory."""

import json
import shutil
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Self

from orchestrator.corpus.batches import count_rows
from orchestrator.corpus.documents import Reject
from orchestrator.corpus.units import Unit
from orchestrator.runs.durable import writing_whole

NUM_SHOWN = 3
FoundBy = Literal["audit", "unit"]  # the audit of a unit, or its tokenising, which finds some more


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejects:
    """The rejects of a unit or of a source, which a file lists; without any there is no file.

    Attributes:
        num_rows: how many things they stand for.
        size_bytes: of the file.
        first: up to NUM_SHOWN of them.
    """

    num_rows: int
    size_bytes: int
    first: tuple[Reject, ...]

    def are_written(self, path: Path) -> bool:
        """Whether the file that lists them is there, and as long as it should be."""
        return not self.size_bytes or (path.is_file() and path.stat().st_size == self.size_bytes)


def rejects_file(unit: Unit, found_by: FoundBy) -> Path:
    """Where the rejects of a unit are listed.

    Args:
        unit: whose.
        found_by: what found them.
    """
    return unit.result(found_by, ".rejects.jsonl")


class RejectWriter:
    """Lists rejects in a file, a line each; without `finish` there is none."""

    def __init__(self, path: Path) -> None:
        """
        Args:
            path: of the file.
        """
        self._path = path
        self._stack = ExitStack()
        self._file: BinaryIO | None = None
        self._num_rows = 0
        self._first: list[Reject] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, trace)

    def add(self, rejects: Sequence[Reject]) -> None:
        if not rejects:
            return
        if self._file is None:
            self._file = self._stack.enter_context(writing_whole(self._path))
        for reject in rejects:
            self._file.write(json.dumps(reject.as_record(), ensure_ascii=False).encode() + b"\n")
        self._num_rows += count_rows(rejects)
        self._first += rejects[: NUM_SHOWN - len(self._first)]

    def finish(self) -> Rejects:
        """Make the file durable."""
        size_bytes = self._file.tell() if self._file else 0
        self._stack.close()
        return Rejects(num_rows=self._num_rows, size_bytes=size_bytes, first=tuple(self._first))


def joined(parts: Sequence[Rejects]) -> Rejects:
    """The rejects of several units, one after the other."""
    return Rejects(
        num_rows=sum(part.num_rows for part in parts),
        size_bytes=sum(part.size_bytes for part in parts),
        first=tuple(islice(chain.from_iterable(part.first for part in parts), NUM_SHOWN)),
    )


def join_files(parts: Iterable[Path], path: Path) -> None:
    """Write the lists of several units as one, whole or not at all.

    Args:
        parts: the lists, in order.
        path: where.

    Raises:
        OSError: one cannot be read, or it cannot be written.
    """
    with writing_whole(path) as file:
        for part in parts:
            with part.open("rb") as listed:
                shutil.copyfileobj(listed, file, 1 << 20)
