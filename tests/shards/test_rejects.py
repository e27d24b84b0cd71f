"""What is no document is listed for people and scripts, and too much of it stops a preparation before its manifest."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from orchestrator.config.data import CorpusConfig, ShardsConfig, SourceConfig
from orchestrator.errors import DataError
from orchestrator.shards.manifest import Manifest
from orchestrator.shards.preparation import source_request
from orchestrator.shards.tokenize import tokenise_unit
from orchestrator.shards.vocabulary import Vocabulary, load_vocabulary
from tests.corpus.writing import write_texts
from tests.support.prepared import AS_SHIPPED, prepare_source, task_of, units_of
from tests.support.tiny import write_model

ANY = replace(AS_SHIPPED, max_reject_share=1.0)
LONG_AGO = 10**18


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    return load_vocabulary(str(write_model(tmp_path_factory.mktemp("model"))), None)


def prepare(path: Path, vocabulary: Vocabulary, corpus: CorpusConfig = ANY, **changes: Any) -> Manifest:
    """Prepare a folder as source `code`, a file a unit, into the shards beside it."""
    source = SourceConfig(role="general", paths=(str(path),), **changes)
    shards = ShardsConfig(dir=str(path.parent / "shards"), document_separator=None, shard_bytes=1, packing="concatenate")
    return prepare_source("code", source, shards, vocabulary, corpus=corpus)


def listed(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "shards" / "code" / "rejects.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_every_reject_is_a_line_with_its_file_and_place_and_reason(tmp_path: Path, vocabulary: Vocabulary) -> None:
    corpus = tmp_path / "corpus"
    lines = write_texts(corpus / "a.jsonl", ["good", 5])
    rows = write_texts(corpus / "b.parquet", ["good", None])
    (corpus / "c.txt").write_bytes(b"caf\xe9")
    (corpus / "d.md").write_bytes(b"# A\n# \xff\n")
    parquet.write_table(pyarrow.table({"body": ["x"]}), corpus / "e.parquet")
    manifest = prepare(corpus, vocabulary, markdown="section")
    assert listed(tmp_path) == [
        {"file": str(lines), "line": 2, "reason": "the text is a int, not a string"},
        {"file": str(rows), "row": 1, "reason": "the text is a NoneType, not a string"},
        {"file": str(corpus / "c.txt"), "line": None, "reason": "not UTF-8: unexpected end of data at byte 3 of the text"},
        {"file": str(corpus / "d.md"), "line": 2, "reason": "not UTF-8: invalid start byte at byte 2 of the text"},
        {"file": str(corpus / "e.parquet"), "row": None, "reason": "no column 'text'; columns: body"},
    ]
    assert manifest.rejects == 5


def test_a_file_that_was_mended_leaves_no_reject_behind(tmp_path: Path, vocabulary: Vocabulary) -> None:
    for name in ("a", "b"):
        write_texts(tmp_path / "corpus" / f"{name}.jsonl", ["good", 5])
    prepare(tmp_path / "corpus", vocabulary)
    write_texts(tmp_path / "corpus" / "a.jsonl", ["good", "mended"])
    assert prepare(tmp_path / "corpus", vocabulary).rejects == 1
    assert [reject["file"] for reject in listed(tmp_path)] == [str(tmp_path / "corpus" / "b.jsonl")]
    (tmp_path / "corpus" / "b.jsonl").unlink()
    assert (prepare(tmp_path / "corpus", vocabulary).rejects, listed(tmp_path)) == (0, [])


def refusal(path: Path, vocabulary: Vocabulary, corpus: CorpusConfig) -> str:
    with pytest.raises(DataError) as caught:
        prepare(path, vocabulary, corpus)
    return str(caught.value)


def test_a_share_of_rejects_at_the_limit_passes_and_one_above_it_is_an_error(tmp_path: Path, vocabulary: Vocabulary) -> None:
    write_texts(tmp_path / "corpus" / "a.jsonl", ["good"] * 7 + [5])
    assert prepare(tmp_path / "corpus", vocabulary, replace(ANY, max_reject_share=0.125)).rejects == 1
    assert "corpus.max_reject_share=0.124" in refusal(tmp_path / "corpus", vocabulary, replace(ANY, max_reject_share=0.124))


def test_rows_that_one_reject_stands_for_are_counted_each(tmp_path: Path, vocabulary: Vocabulary) -> None:
    write_texts(tmp_path / "corpus" / "a.jsonl", ["good"] * 30)
    parquet.write_table(pyarrow.table({"body": ["x"] * 10}), tmp_path / "corpus" / "b.parquet")
    manifest = prepare(tmp_path / "corpus", vocabulary, replace(ANY, max_reject_share=0.25))
    assert (manifest.rejects, manifest.num_read, len(listed(tmp_path))) == (10, 40, 1)
    assert "10 of the 40 things read" in refusal(tmp_path / "corpus", vocabulary, replace(ANY, max_reject_share=0.2))


def test_too_many_rejects_are_told_with_the_first_three_and_following_the_remedy_keeps_what_was_read(
    tmp_path: Path, vocabulary: Vocabulary
) -> None:
    file = write_texts(tmp_path / "corpus" / "a.jsonl", ["good"] * 10 + [1, "", 3, 4])
    write_texts(tmp_path / "corpus" / "b.jsonl", ["good"] * 15)
    message = refusal(tmp_path / "corpus", vocabulary, AS_SHIPPED)
    directory = tmp_path / "shards" / "code"
    named = ["'code'", "4 of the 29", f"{file}:11: the text is a int", f"{file}:12: ", f"{file}:13: ", str(directory / "rejects.jsonl")]
    assert [part for part in named if part not in message] == []
    assert f"{file}:14" not in message
    assert (len(listed(tmp_path)), (directory / "manifest.json").exists()) == (4, False)
    for path in directory.iterdir():
        os.utime(path, ns=(LONG_AGO, LONG_AGO))
    remedy = re.search(r"set corpus\.max_reject_share=(\S+)", message)
    assert remedy
    assert prepare(tmp_path / "corpus", vocabulary, replace(ANY, max_reject_share=float(remedy[1]))).documents("train") == 25
    written = {path.name for path in directory.iterdir() if path.stat().st_mtime_ns != LONG_AGO}
    assert ({name for name in written if name.startswith("audit")}, "manifest.json" in written) == (set(), True)


def test_a_preparation_that_failed_leaves_no_manifest_of_an_earlier_one(tmp_path: Path, vocabulary: Vocabulary) -> None:
    write_texts(tmp_path / "corpus" / "a.jsonl", ["good", "too"])
    prepare(tmp_path / "corpus", vocabulary, AS_SHIPPED)
    write_texts(tmp_path / "corpus" / "a.jsonl", ["good", 5])
    refusal(tmp_path / "corpus", vocabulary, AS_SHIPPED)
    assert not (tmp_path / "shards" / "code" / "manifest.json").exists()


def test_a_document_with_more_tokens_than_allowed_is_rejected_in_its_place_with_both_counts(tmp_path: Path, vocabulary: Vocabulary) -> None:
    texts: list[object] = ["river", "the river lock keeper ledger", 5, "seam"]
    file = write_texts(tmp_path / "corpus" / "a.jsonl", texts)
    tokenizer = vocabulary.open()
    long, longest = len(tokenizer.encode("seam").ids), len(tokenizer.encode("the river lock keeper ledger").ids)
    limit = max(long, len(tokenizer.encode("river").ids))
    assert prepare(tmp_path / "corpus", vocabulary, replace(ANY, max_document_tokens=limit)).documents("train") == 2
    assert listed(tmp_path) == [
        {"file": str(file), "line": 2, "reason": f"{longest} tokens, over corpus.max_document_tokens={limit}"},
        {"file": str(file), "line": 3, "reason": "the text is a int, not a string"},
    ]
    assert prepare(tmp_path / "corpus", vocabulary, replace(ANY, max_document_tokens=longest)).documents("train") == 3


@pytest.mark.parametrize(
    ("source", "corpus", "same"),
    [
        ({}, {}, True),
        ({}, {"max_reject_share": 0.5}, True),
        ({}, {"max_document_tokens": 99}, False),
        ({"markdown": "section"}, {}, False),
    ],
    ids=["nothing", "max_reject_share", "max_document_tokens", "markdown"],
)
def test_what_decides_the_documents_is_part_of_the_request_and_nothing_else(
    tmp_path: Path, vocabulary: Vocabulary, source: dict[str, Any], corpus: dict[str, Any], same: bool
) -> None:
    (tmp_path / "a.md").write_text("# A\n")
    plain = SourceConfig(role="general", paths=(str(tmp_path / "a.md"),))
    shards = ShardsConfig(dir=str(tmp_path), document_separator=None, shard_bytes=1, packing="concatenate")

    def requests(source: SourceConfig, corpus: CorpusConfig) -> list[str]:
        tasks = [task_of(unit, vocabulary, most_tokens=corpus.max_document_tokens) for unit in units_of(source, shards)]
        return [*(task.request for task in tasks), source_request("code", {"code": source}, corpus, None)]

    before, after = requests(plain, AS_SHIPPED), requests(replace(plain, **source), replace(AS_SHIPPED, **corpus))
    assert [one == other for one, other in zip(before, after, strict=True)] == [same, same]


def test_a_file_that_changed_after_it_was_listed_is_an_error_of_the_data(tmp_path: Path, vocabulary: Vocabulary) -> None:
    file = write_texts(tmp_path / "a.jsonl", ["one"])
    shards = ShardsConfig(dir=str(tmp_path / "shards"), document_separator=None, shard_bytes=1, packing="concatenate")
    source = SourceConfig(role="general", paths=(str(file),))
    (unit,) = units_of(source, shards)
    task = task_of(unit, vocabulary)
    write_texts(file, ["another"])
    with pytest.raises(DataError, match=rf"{file} changed since it was listed"):
        tokenise_unit(task)
    assert not task.marker.exists()
