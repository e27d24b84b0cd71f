"""What is wrong in a part of a Parquet file costs that part, and is counted by the rows that it holds."""

from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from orchestrator.config.data import SourceConfig
from orchestrator.corpus.batches import count_rows
from orchestrator.corpus.documents import Document, Reject
from orchestrator.corpus.reading import read_documents
from orchestrator.corpus.units import list_units
from tests.corpus.writing import split, write_texts

NUM_ROWS, GROUP_ROWS = 10_000, 1000
TEXTS = [f"document {number}" for number in range(NUM_ROWS)]


def write_groups(path: Path, page_bytes: int = 1 << 20) -> Path:
    """Ten row groups."""
    table = pyarrow.table({"text": TEXTS, "number": range(NUM_ROWS)})
    parquet.write_table(table, path, row_group_size=GROUP_ROWS, use_dictionary=False, compression="none", data_page_size=page_bytes)
    return path


def overwrite(path: Path, at: int, num_bytes: int) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:at] + b"\xff" * num_bytes + data[at + num_bytes :])


def column_of(path: Path, group: int) -> tuple[int, int]:
    """Where the texts of a row group lie in the file, and how many bytes they are."""
    column = parquet.read_metadata(path).row_group(group).column(0)
    return column.data_page_offset, column.total_compressed_size


def test_a_broken_row_group_is_one_reject_for_its_rows_and_the_others_are_read(tmp_path: Path) -> None:
    path = write_groups(tmp_path / "a.parquet")
    overwrite(path, column_of(path, 1)[0], 16)
    documents, (reject,) = split(path)
    assert [document.text for document in documents] == TEXTS[:1000] + TEXTS[2000:]
    assert [document.place for document in documents] == [*range(1000), *range(2000, NUM_ROWS)]
    assert (reject.place, reject.num_rows) == (1000, 1000)
    assert "not readable as Parquet up to row 1999" in reject.reason


def test_what_stands_before_a_break_within_a_row_group_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"text": TEXTS}), path, use_dictionary=False, compression="none", data_page_size=256)
    at, num_bytes = column_of(path, 0)
    overwrite(path, at + num_bytes // 2, num_bytes // 4)
    documents, (reject,) = split(path)
    assert [document.text for document in documents] == TEXTS[: len(documents)]
    assert len(documents) > NUM_ROWS // 4
    assert (reject.place, reject.num_rows) == (len(documents), NUM_ROWS - len(documents))


def test_a_file_without_the_column_counts_as_all_of_its_rows(tmp_path: Path) -> None:
    documents, (reject,) = split(write_groups(tmp_path / "a.parquet"), "body")
    assert (documents, reject.place, count_rows([reject])) == ([], None, NUM_ROWS)
    assert reject.as_record() == {
        "file": str(tmp_path / "a.parquet"),
        "row": None,
        "num_rows": NUM_ROWS,
        "reason": "no column 'body'; columns: text, number",
    }


def nested(contents: list[bytes]) -> pyarrow.Array:
    """A question, and each of the contents as its answer."""
    roles = pyarrow.array(["user", "assistant"] * len(contents))
    words = pyarrow.array([word for content in contents for word in (b"What?", content)]).view(pyarrow.string())
    messages = pyarrow.StructArray.from_arrays([roles, words], ["role", "content"])
    return pyarrow.ListArray.from_arrays(range(0, 2 * len(contents) + 1, 2), messages)


def test_a_conversation_that_is_not_utf8_is_rejected_and_its_neighbours_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"messages": nested([b"one", b"caf\xe9", b"three"])}), path)
    items = list(read_documents(str(path), text_field="text", markdown="file", messages_field="messages"))
    assert [isinstance(item, Document) for item in items] == [True, False, True]
    assert [item.reason for item in items if isinstance(item, Reject)] == ["not UTF-8: unexpected end of data at byte 3 of a string in it"]


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (pyarrow.array([0, 2**60], pyarrow.timestamp("us")), "not readable: "),
        (pyarrow.array([b"a", b"caf\xe9"]).view(pyarrow.string()).dictionary_encode(), "not UTF-8: "),
    ],
    ids=["a date far away", "a dictionary with a bad byte"],
)
def test_a_value_that_cannot_be_read_takes_no_other_row_with_it(tmp_path: Path, column: pyarrow.Array, reason: str) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"text": column}), path)
    items = list(read_documents(str(path), text_field="text", markdown="file"))
    assert [item.place for item in items] == [0, 1]
    assert isinstance(items[1], Reject)
    assert items[1].reason.startswith(reason)


SCHEMAS: dict[str, Callable[[list[str]], dict[str, object]]] = {
    "alone": lambda texts: {"text": texts},
    "after others": lambda texts: {"id": pyarrow.array([1] * len(texts), pyarrow.int16()), "text": texts},
    "before others": lambda texts: {"text": texts, "id": pyarrow.array([1] * len(texts), pyarrow.uint64()), "more": [None] * len(texts)},
    "large": lambda texts: {"text": pyarrow.array(texts, pyarrow.large_string())},
    "dictionary": lambda texts: {"text": pyarrow.array(texts).dictionary_encode()},
}


def test_files_of_different_schemas_and_kinds_are_one_source(tmp_path: Path) -> None:
    for number, columns in enumerate(SCHEMAS.values()):
        parquet.write_table(pyarrow.table(columns(TEXTS[10 * number : 10 * number + 10])), tmp_path / f"{number}.parquet")
    write_texts(tmp_path / "6.jsonl.zst", TEXTS[50:60])
    lines = [f'{{"id": {number}, "text": "{text}"}}\n{{"text": "{text}, again", "tags": []}}\n' for number, text in enumerate(TEXTS[60:70])]
    (tmp_path / "7.jsonl").write_text("".join(lines))
    source = SourceConfig(role="general", paths=(str(tmp_path),))
    (unit,) = list_units("web", source, directory=tmp_path / "shards", unit_bytes=1 << 30)
    items = list(unit.read())
    texts = [item.text for item in items if isinstance(item, Document)]
    assert texts == TEXTS[:60] + [text for last in TEXTS[60:70] for text in (last, f"{last}, again")]
    assert len(items) == len(texts)
