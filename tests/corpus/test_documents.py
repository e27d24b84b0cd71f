"""Every file gives its documents, and whatever is none is told with file, line and reason."""

import json
from pathlib import Path

import pyarrow
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from orchestrator.corpus.documents import Document, Reject, document_id, is_heldout
from orchestrator.errors import DataError
from tests.corpus.writing import PACKED_BY, read, split, write_texts

TEXTS = ["one", "zwei\nlines", "três ☃ \U0001f9ea", "  spaces around  ", "two\r\nends"]
RECORDS = ("a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.parquet")


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("field", ["text", "content"])
def test_records_of_every_kind_give_the_same_documents_in_order(tmp_path: Path, name: str, field: str) -> None:
    documents, rejects = split(write_texts(tmp_path / name, TEXTS, field), field)
    assert [document.text for document in documents] == TEXTS
    assert rejects == []


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_is_found_again_by_its_origin(tmp_path: Path, name: str) -> None:
    path = write_texts(tmp_path / name, TEXTS)
    first = 0 if name.endswith(".parquet") else 1
    assert [document.origin for document in split(path)[0]] == [f"{path}:{first + index}" for index in range(len(TEXTS))]


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.txt", "plain\ntext\n", "plain\ntext\n"),
        ("a.md", "# Title\n\nbody\n", "# Title\n\nbody\n"),
        ("a.md", "---\nkind: essay\n---\n\nbody\n", "body\n"),
        ("a.md", "---\nkind: essay\n---\nbody\n\n---\n\nmore\n", "body\n\n---\n\nmore\n"),
        ("a.md", "---\nnever closed\n\nbody\n", "---\nnever closed\n\nbody\n"),
        ("a.md", "body\n---\nkind: essay\n---\n", "body\n---\nkind: essay\n---\n"),
        ("a.md", "----\nfour dashes\n---\nbody\n", "----\nfour dashes\n---\nbody\n"),
        ("a.md", "---\r\nkind: essay\r\n---\r\n\r\nbody\r\n", "body\r\n"),
        ("a.md", "\ufeff---\nkind: essay\n---\n\nbody\n", "body\n"),
        ("a.md", "---\n---\nbody\n", "body\n"),
    ],
    ids=["txt", "md", "front matter", "rule below", "unclosed", "later", "four dashes", "CRLF", "byte order mark", "empty front matter"],
)
def test_a_text_file_is_one_document_without_its_front_matter(tmp_path: Path, name: str, content: str, text: str) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode())
    assert split(path) == ([Document(document_id(text), str(path), None, text)], [])


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.txt", b"", "empty"),
        ("a.txt", b" \n\t\n", "empty"),
        ("a.md", b"---\nkind: essay\n---\n\n", "empty"),
        ("a.md", b"---\nkind: essay\n---", "empty"),
        ("a.txt", b"caf\xe9", "not UTF-8"),
        ("a.md", b"ok\n\xed\xa0\x80", "not UTF-8"),
    ],
)
def test_a_text_file_that_is_no_document_is_rejected_with_its_reason(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    documents, (reject,) = split(path)
    assert documents == []
    assert (reject.origin, reason in reject.reason) == (str(path), True)


BAD_LINES = {
    "not json": (b"{text: 1}", "not JSON"),
    "cut short": (b'{"text": "a', "not JSON"),
    "two values": (b'{"text": "a"} {"text": "b"}', "not JSON"),
    "blank": (b"", "not JSON"),
    "too deep": (b"[" * 100_000, "not JSON"),
    "a number of 5000 digits": (b'{"text": "a", "n": ' + b"1" * 5000 + b"}", "not JSON"),
    "no field": (b'{"body": "a"}', "no field 'text'"),
    "a list": (b'["text"]', "no field 'text'"),
    "a string": (b'"text"', "no field 'text'"),
    "null": (b"null", "no field 'text'"),
    "text is null": (b'{"text": null}', "NoneType"),
    "text is a number": (b'{"text": 5}', "int"),
    "text is a list": (b'{"text": ["a"]}', "list"),
    "empty": (b'{"text": ""}', "empty"),
    "only spaces": (b'{"text": " \\n\\t "}', "empty"),
    "not UTF-8": (b'{"text": "caf\xe9"}', "not UTF-8"),
    "lone surrogate": (b'{"text": "a\\ud800"}', "surrogate"),
    "surrogate in UTF-8": (b'{"text": "a\xed\xa0\x80"}', "surrogate"),
}


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
@pytest.mark.parametrize(("line", "reason"), BAD_LINES.values(), ids=BAD_LINES.keys())
def test_a_bad_line_is_rejected_by_number_and_reason_and_its_neighbours_are_kept(
    tmp_path: Path, line: bytes, reason: str, suffix: str
) -> None:
    data = b"\n".join([b'{"text": "before"}', line, b'{"text": "after"}', b""])
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(PACKED_BY[suffix](data))
    documents, (reject,) = split(path)
    assert [document.text for document in documents] == ["before", "after"]
    assert (reject.origin, reason in reject.reason) == (f"{path}:2", True)


def test_a_last_line_without_its_end_is_a_document(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "a"}\r\n{"text": "b"}')
    assert [document.text for document in split(path)[0]] == ["a", "b"]


good = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda text: text.strip() != "")
bad = st.sampled_from(sorted({line for line, _ in BAD_LINES.values() if len(line) < 100}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("documents")


@settings(max_examples=60, deadline=None)
@given(lines=st.lists(good.map(lambda text: json.dumps({"text": text}).encode()) | bad), suffix=st.sampled_from(["", ".gz", ".zst"]))
def test_every_line_is_a_document_or_a_reject_and_none_is_dropped(folder: Path, lines: list[bytes], suffix: str) -> None:
    data = b"".join(line + b"\n" for line in lines)
    path = folder / f"a.jsonl{suffix}"
    path.write_bytes(PACKED_BY[suffix](data))
    known_bad = {line for line, _ in BAD_LINES.values()}
    items = read(path)
    assert [isinstance(item, Reject) for item in items] == [line in known_bad for line in lines]
    assert [item.origin for item in items] == [f"{path}:{number}" for number in range(1, len(lines) + 1)]


def test_rows_of_parquet_that_are_no_documents_are_rejected_by_number(tmp_path: Path) -> None:
    path = write_texts(tmp_path / "a.parquet", ["one", None, " ", "two"])
    documents, rejects = split(path)
    assert [document.origin for document in documents] == [f"{path}:0", f"{path}:3"]
    assert [(reject.origin, reject.reason) for reject in rejects] == [
        (f"{path}:1", "the text is a NoneType, not a string"),
        (f"{path}:2", "the text is empty"),
    ]


def test_parquet_without_the_column_is_told_with_those_that_it_has(tmp_path: Path) -> None:
    path = write_texts(tmp_path / "a.parquet", ["one"])
    documents, (reject,) = split(path, "body")
    assert documents == []
    assert "'body'" in reject.reason
    assert "text, number" in reject.reason


def test_a_parquet_column_of_another_type_rejects_every_row(tmp_path: Path) -> None:
    documents, rejects = split(write_texts(tmp_path / "a.parquet", ["one", "two"]), "number")
    assert (documents, [reject.reason for reject in rejects]) == ([], ["the text is a int, not a string"] * 2)


def test_parquet_that_is_cut_short_or_none_is_told(tmp_path: Path) -> None:
    whole = write_texts(tmp_path / "a.parquet", TEXTS).read_bytes()
    for content in (whole[: len(whole) // 2], b"plain text", b""):
        path = tmp_path / "broken.parquet"
        path.write_bytes(content)
        documents, (reject,) = split(path)
        assert (documents, reject.origin.startswith(str(path))) == ([], True)


def test_a_parquet_string_that_is_not_utf8_is_rejected_and_its_neighbours_are_kept(tmp_path: Path) -> None:
    texts = [b"before", b"caf\xe9", b"after"]
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"text": pyarrow.array(texts).view(pyarrow.string())}), path)
    documents, (reject,) = split(path)
    assert [document.text for document in documents] == ["before", "after"]
    assert (reject.origin, "not UTF-8" in reject.reason) == (f"{path}:1", True)


@pytest.mark.parametrize("name", ["gone.jsonl", "gone.txt", "gone.parquet"])
def test_a_file_that_cannot_be_opened_is_no_file_with_rejected_lines(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"gone\."):
        split(tmp_path / name)


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(good, min_size=1, max_size=5))
@example(texts=["\ufeffmark"])
@example(texts=["a\r\nb\r", "a\x85\u2028"])
def test_documents_are_the_same_with_the_same_ids_in_every_kind_of_file(folder: Path, texts: list[str]) -> None:
    for name in RECORDS:
        documents, rejects = split(write_texts(folder / name, texts))
        assert [(document.id, document.text) for document in documents] == [(document_id(text), text) for text in texts]
        assert rejects == []
    for text in texts:
        if not text.startswith(("\ufeff", "---")):
            (folder / "a.txt").write_bytes(text.encode())
            assert [(document.id, document.text) for document in split(folder / "a.txt")[0]] == [(document_id(text), text)]


def test_an_id_depends_on_the_content_alone(tmp_path: Path) -> None:
    paths = [write_texts(tmp_path / name, ["other", "same"]) for name in RECORDS] + [tmp_path / "b.txt"]
    paths[-1].write_text("same")
    ids = {document.id for path in paths for document in split(path)[0] if document.text == "same"}
    assert ids == {document_id("same")}


@settings(deadline=None)
@given(one=good, other=good)
def test_different_texts_have_different_ids(one: str, other: str) -> None:
    assert (document_id(one) == document_id(other)) == (one == other)


@settings(deadline=None)
@given(text=good)
def test_a_document_that_is_held_out_stays_so_at_every_larger_share(text: str) -> None:
    sides = [is_heldout(document_id(text), share) for share in (0.0, 0.1, 0.5, 0.9, 1.0)]
    assert (sides == sorted(sides), sides[0], sides[-1]) == (True, False, True)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.99])
def test_about_the_asked_share_is_held_out(share: float) -> None:
    num = 10_000
    held = sum(is_heldout(document_id(f"text {index}"), share) for index in range(num))
    assert abs(held - share * num) < 4 * (share * (1 - share) * num) ** 0.5
