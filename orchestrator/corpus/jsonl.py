"""Records and documents out of JSON lines, plain or compressed, as a stream."""

import io
import json
from collections.abc import Iterator
from typing import Any

from orchestrator.corpus.documents import Document, Judge, Reject, judge

_CHUNK_BYTES = 1 << 16  # no more than this is lost before the place where a compressed file breaks


def from_jsonl(path: str, file: io.RawIOBase, field: str, judged: Judge = judge) -> Iterator[Document | Reject]:
    """The document of each line.

    Args:
        path: of the file.
        file: opened.
        field: where the text is, or whatever else a document is made of.
        judged: makes a document of it.
    """
    for found in read_records(path, file):
        if isinstance(found, Reject):
            yield found
            continue
        number, record = found
        if isinstance(record, dict) and field in record:
            yield judged(path, number, record[field])
        else:
            yield Reject(path, number, f"no field {field!r}")


def read_records(path: str, file: io.RawIOBase) -> Iterator[tuple[int, Any] | Reject]:
    """What each line holds.

    Args:
        path: of the file; its name says how it is compressed. Files that were joined (several frames or members) are read to their end.
        file: opened.

    Yields:
        The number of a line, from 1, and its value; or why it has none.
    """
    import pyarrow

    number = 0
    try:
        for number, line in enumerate(_lines(path, file), 1):
            yield _from_line(path, number, line)
    except MemoryError:  # Arrow's is also an exception of its own
        raise
    except (OSError, pyarrow.ArrowException) as error:  # not of the disk or network: `file` reports those
        yield Reject(path, number + 1, f"the compressed file ends or breaks here: {error}")


def _lines(path: str, file: io.RawIOBase) -> io.BufferedReader:
    """The lines of a file, decompressed. Arrow tells a compressed file that was cut short, where the usual modules end in silence."""
    compression = {"gz": "gzip", "zst": "zstd"}.get(path.rpartition(".")[2])
    if compression is None:
        return io.BufferedReader(file, 1 << 20)
    import pyarrow

    return io.BufferedReader(pyarrow.input_stream(file, compression=compression), _CHUNK_BYTES)


def _from_line(path: str, number: int, line: bytes) -> tuple[int, Any] | Reject:
    try:
        return number, _parse(line)
    except UnicodeDecodeError as error:
        return Reject(path, number, f"not UTF-8: {error.reason} at byte {error.start} of the line")
    except (ValueError, RecursionError) as error:
        return Reject(path, number, f"not JSON: {error}")


def _parse(line: bytes) -> Any:
    """As `json.loads` of bytes, which guesses their encoding and is a quarter slower for it."""
    try:
        return json.loads(line.decode())
    except ValueError:
        return json.loads(line)
