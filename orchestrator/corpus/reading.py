"""Documents out of files, whatever their kind and wherever they lie."""

import io
from collections.abc import Iterator
from typing import Literal

from orchestrator.corpus.conversations import judge_messages
from orchestrator.corpus.documents import Document, Judge, Reject, judge, judge_bytes
from orchestrator.corpus.jsonl import from_jsonl
from orchestrator.corpus.markdown import body, sections
from orchestrator.corpus.parquet import from_parquet
from orchestrator.corpus.storage import open_file

MarkdownUnit = Literal["file", "section"]


def read_documents(path: str, *, text_field: str, markdown: MarkdownUnit, messages_field: str | None = None) -> Iterator[Document | Reject]:
    """The documents of a file, in its order.

    Args:
        path: of a .txt or .md file (YAML front matter is taken off), or .jsonl, .jsonl.gz, .jsonl.zst or .parquet, or its URL.
        text_field: where JSONL and Parquet keep the text.
        markdown: what is a document of a .md file.
        messages_field: where JSONL and Parquet keep the messages of conversations; none: they keep texts.

    Yields:
        A document, or what stands in the place of one.

    Raises:
        OrchestratorError: the file is not there any more, cannot be reached, or may not be read.
    """
    is_parquet = path.endswith(".parquet")
    judged: Judge = judge if messages_field is None else judge_messages
    field = text_field if messages_field is None else messages_field
    with open_file(path, in_order=not is_parquet) as file:
        if is_parquet:
            yield from from_parquet(path, file, field, judged)
        elif path.endswith(".md") and markdown == "section":
            yield from _from_sections(path, file)
        elif path.endswith((".txt", ".md")):
            yield judge_bytes(path, None, b"".join(line for _, line in body(io.BufferedReader(file))))
        else:
            yield from from_jsonl(path, file, field, judged)


def _from_sections(path: str, file: io.RawIOBase) -> Iterator[Document | Reject]:
    line = 0
    for line, text in sections(body(io.BufferedReader(file))):
        yield judge_bytes(path, line, text)
    if not line:
        yield Reject(path, None, "the text is empty")
