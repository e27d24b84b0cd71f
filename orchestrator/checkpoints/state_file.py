"""A rank's part of the trained state as a safetensors file, which any tool reads and nobody can hide a program in.

The file is written here and not by the safetensors library, so that it is hashed and put on disk in one pass over memory, without a copy.
"""

import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray
from safetensors import safe_open

from orchestrator.runs.durable import WrittenFile
from orchestrator.training.fragments import KINDS, Span

Values = NDArray[np.float32]
Holders = Mapping[str, Sequence[tuple[Span, int]]]  # parameter -> the spans of it that there are, each with the rank whose file holds it
STATE = "state"  # the folder of these files in a checkpoint
_STARTS = "starts"  # key of the metadata: where in its parameter each span begins
_CHUNK_BYTES = 64 << 20
_CANNOT_RESERVE = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


def state_path(rank: int) -> str:
    """Where a rank's file is, below the checkpoint."""
    return f"{STATE}/rank_{rank:05d}.safetensors"


@dataclass(frozen=True, slots=True, eq=False)
class RankState:
    """A rank's part of the state, in host memory.

    Attributes:
        spans: which elements of which parameters, one a parameter at most.
        values: (len(KINDS), n) float32: for each kind the spans' values, one after the other.
    """

    spans: Sequence[Span]
    values: Values

    def checksums(self) -> dict[str, int]:
        """Of each kind, the sum of the bits of its values modulo 2^64; that of all ranks together is the same however they share them."""
        return {kind: bits_sum(row) for kind, row in zip(KINDS, self.values, strict=True)}


def bits_sum(values: NDArray[np.float32]) -> int:
    """The sum of the bits of (n,) values modulo 2^64, which does not depend on their order."""
    return int(values.view(np.uint32).sum(dtype=np.uint64))


class StateFile:
    """A file that is being written: first its space is taken, then its bytes come."""

    def __init__(self, directory: Path, rank: int, state: RankState) -> None:
        self.rank = rank
        self._path, self._name, self._state = directory / state_path(rank), state_path(rank), state
        self._header = _header(state.spans)

    def reserve(self) -> None:
        """Make the file, and take the space that it needs: free space and quotas, as statvfs tells of them, are no promise.

        Raises:
            OSError: there is not enough.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            os.posix_fallocate(descriptor, 0, len(self._header) + self._state.values.nbytes)
        except OSError as error:
            if error.errno not in _CANNOT_RESERVE:
                raise
        finally:
            os.close(descriptor)

    def write(self) -> WrittenFile:
        """Write everything, and put it on disk.

        Raises:
            OSError: it cannot be written.
        """
        digest = xxhash.xxh3_128()
        with self._path.open("r+b", buffering=0) as file:
            for chunk in _chunks(self._header, self._state.values):
                digest.update(chunk)
                _write_all(file.fileno(), chunk)
            os.fsync(file.fileno())
        return WrittenFile(self._name, self._path.stat().st_size, digest.hexdigest())

    def remove(self) -> None:
        """Give the space back."""
        self._path.unlink(missing_ok=True)


def _header(spans: Sequence[Span]) -> bytes:
    """The format's header: its length, then JSON, padded so that the values lie at a multiple of eight bytes."""
    entries: dict[str, Any] = {"__metadata__": {_STARTS: json.dumps({span.parameter: span.start for span in spans})}}
    at = 0
    for kind in KINDS:
        for span in spans:
            end = at + 4 * span.size
            entries[f"{kind}/{span.parameter}"] = {"dtype": "F32", "shape": [span.size], "data_offsets": [at, end]}
            at = end
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _chunks(header: bytes, values: Values) -> Iterator[memoryview]:
    yield memoryview(header)
    data = memoryview(np.ascontiguousarray(values).reshape(-1).view(np.uint8))  # type: ignore[arg-type]
    for start in range(0, len(data), _CHUNK_BYTES):
        yield data[start : start + _CHUNK_BYTES]


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def read_spans(path: Path) -> list[Span]:
    """Which spans a file holds."""
    with closing(_Reader(path)) as reader:
        return [Span(parameter, start, reader.size(parameter)) for parameter, start in reader.starts.items()]


def holders_of(found: Iterable[tuple[int, Sequence[Span]]]) -> Holders:
    """Put what each rank's file holds in order of parameters."""
    holders: dict[str, list[tuple[Span, int]]] = {}
    for rank, spans in found:
        for span in spans:
            holders.setdefault(span.parameter, []).append((span, rank))
    return holders


class StateReader:
    """Values out of the files of a checkpoint, whichever rank wrote them. A few files are open at a time."""

    _MOST_OPEN = 16

    def __init__(self, directory: Path, holders: Holders) -> None:
        """
        Args:
            directory: the checkpoint.
            holders: which file holds what.
        """
        self._directory, self._holders = directory, holders
        self._open: dict[int, _Reader] = {}

    def read(self, wanted: Span, kinds: Sequence[str] = KINDS) -> Iterator[tuple[int, Values]]:
        """The values of a span, piece by piece.

        Yields:
            Where in the span a piece begins, and its (len(kinds), n) values. Together the pieces are the span, or it is not there.
        """
        for span, rank in self._holders.get(wanted.parameter, ()):
            start, stop = max(span.start, wanted.start), min(span.start + span.size, wanted.start + wanted.size)
            if start < stop:
                yield start - wanted.start, self._reader(rank).read(wanted.parameter, slice(start - span.start, stop - span.start), kinds)

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def _reader(self, rank: int) -> "_Reader":
        if rank not in self._open:
            if len(self._open) == self._MOST_OPEN:
                self._open.pop(next(iter(self._open))).close()
            self._open[rank] = _Reader(self._directory / state_path(rank))
        return self._open[rank]


class _Reader:
    """One file, opened."""

    def __init__(self, path: Path) -> None:
        opened: Any = safe_open(path, framework="numpy")
        self._file = opened.__enter__()
        self.starts: dict[str, int] = json.loads(self._file.metadata()[_STARTS])

    def size(self, parameter: str) -> int:
        return int(self._file.get_slice(f"{KINDS[0]}/{parameter}").get_shape()[0])

    def read(self, parameter: str, part: slice, kinds: Sequence[str]) -> Values:
        return np.stack([self._file.get_slice(f"{kind}/{parameter}")[part] for kind in kinds])

    def close(self) -> None:
        self._file.__exit__(None, None, None)
