"""Documents out of files. What cannot be read is told with its file, line and reason, never skipped in silence."""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import xxhash

from orchestrator.errors import DataError

_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(?:.*?\r?\n)??---[ \t]*(?:\r?\n|\Z)(?:[ \t]*\r?\n)*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Document:
    """A text with its id (a hash of its content) and its origin (file, and line or row)."""

    id: str
    origin: str
    text: str


@dataclass(frozen=True, slots=True)
class Reject:
    """Something in a file that is not a document, and why."""

    origin: str
    reason: str


def document_id(text: str) -> str:
    """The id of a text: xxh3-128 of its UTF-8 bytes, 32 hexadecimal digits."""
    return xxhash.xxh3_128_hexdigest(text.encode("utf-8"))


def is_heldout(identifier: str, share: float) -> bool:
    """Whether a document is kept back: a property of its content alone, so that copies go the same way."""
    return xxhash.xxh3_64_intdigest(f"heldout/{identifier}".encode()) < share * 2.0**64


def read_documents(path: Path, text_field: str) -> Iterator[Document | Reject]:
    """The documents of a file, in its order.

    Args:
        path: a .txt or .md file (one document; YAML front matter is taken off), or .jsonl, .jsonl.gz, .jsonl.zst or .parquet.
        text_field: where JSONL and Parquet keep the text.

    Yields:
        A document, or what stands in the place of one.

    Raises:
        DataError: the file is not there any more, or may not be read.
    """
    try:
        path.open("rb").close()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Restore it or its permissions, or take it out of the paths.") from None
    if path.name.endswith((".txt", ".md")):
        whole = _decoded(str(path), path.read_bytes())
        yield _document(str(path), _without_front_matter(whole.text)) if isinstance(whole, Document) else whole
    elif path.name.endswith(".parquet"):
        yield from _from_parquet(path, text_field)
    else:
        yield from _from_jsonl(path, text_field)


def _document(origin: str, text: Any) -> Document | Reject:
    if not isinstance(text, str):
        return Reject(origin, f"the text is a {type(text).__name__}, not a string")
    if not text.strip():
        return Reject(origin, "the text is empty")
    try:
        return Document(document_id(text), origin, text)
    except UnicodeEncodeError:
        return Reject(origin, "the text holds a lone surrogate, which is not Unicode text")


def _decoded(origin: str, data: bytes) -> Document | Reject:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Reject(origin, f"not UTF-8: {error.reason} at byte {error.start}")
    return _document(origin, text)


def _without_front_matter(text: str) -> str:
    """The text after a leading block between two lines of three dashes."""
    return _FRONT_MATTER.sub("", text, count=1)


def _from_jsonl(path: Path, text_field: str) -> Iterator[Document | Reject]:
    number = 0
    try:
        with _lines_of(path) as lines:
            for number, line in enumerate(lines, 1):
                yield _from_json_line(f"{path}:{number}", line, text_field)
    except OSError as error:
        yield Reject(f"{path}:{number + 1}", f"the compressed file ends or breaks here: {error}")


def _from_json_line(origin: str, line: bytes, text_field: str) -> Document | Reject:
    try:
        record = json.loads(line)
    except UnicodeDecodeError as error:
        return Reject(origin, f"not UTF-8: {error.reason} at byte {error.start} of the line")
    except (ValueError, RecursionError) as error:
        return Reject(origin, f"not JSON: {error}")
    if not isinstance(record, dict) or text_field not in record:
        return Reject(origin, f"no field {text_field!r}")
    return _document(origin, record[text_field])


def _lines_of(path: Path) -> IO[bytes]:
    """The lines of a file, decompressed. Arrow tells a compressed file that was cut short, where the usual modules end in silence."""
    compression = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix)
    if compression is None:
        return path.open("rb")
    import pyarrow

    return io.BufferedReader(pyarrow.input_stream(str(path), compression=compression))


def _from_parquet(path: Path, text_field: str) -> Iterator[Document | Reject]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            if text_field not in file.schema_arrow.names:
                yield Reject(str(path), f"no column {text_field!r}; columns: {', '.join(file.schema_arrow.names)}")
                return
            row = 0
            for batch in file.iter_batches(batch_size=1024, columns=[text_field]):
                column = batch.column(0)
                is_text = pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type)
                for value in (column.cast(pyarrow.large_binary()) if is_text else column).to_pylist():
                    yield _decoded(f"{path}:{row}", value) if is_text and value is not None else _document(f"{path}:{row}", value)
                    row += 1
    except (OSError, UnicodeDecodeError, pyarrow.ArrowException) as error:
        yield Reject(str(path), f"not readable as Parquet: {error}")
