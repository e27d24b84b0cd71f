"""Writes the same documents as every kind of file, and reads them."""

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow
import zstandard
from pyarrow import parquet

from orchestrator.corpus.documents import Document, Reject
from orchestrator.corpus.reading import MarkdownUnit, read_documents

PACKED_BY: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}


def as_jsonl(texts: Sequence[object], field: str = "text") -> bytes:
    return b"".join(json.dumps({field: text}).encode() + b"\n" for text in texts)


def write_texts(path: Path, texts: Sequence[object], field: str = "text") -> Path:
    """Write one of .jsonl, .jsonl.gz, .jsonl.zst and .parquet, by its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        parquet.write_table(pyarrow.table({field: list(texts), "number": list(range(len(texts)))}), path)
        return path
    path.write_bytes(PACKED_BY[path.suffix.removeprefix(".jsonl")](as_jsonl(texts, field)))
    return path


def read(path: Path | str, field: str = "text", markdown: MarkdownUnit = "file") -> list[Document | Reject]:
    return list(read_documents(str(path), text_field=field, markdown=markdown))


def split(path: Path | str, field: str = "text", markdown: MarkdownUnit = "file") -> tuple[list[Document], list[Reject]]:
    """What a file holds: documents, and rejects."""
    items = read(path, field, markdown)
    return [item for item in items if isinstance(item, Document)], [item for item in items if isinstance(item, Reject)]
