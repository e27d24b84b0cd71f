"""A unit audited: what is counted, what is looked for where, and when it is done again."""

from pathlib import Path

import pytest

from orchestrator.config.data import SourceConfig
from orchestrator.corpus.audit import Watch
from orchestrator.corpus.documents import Document, document_id
from orchestrator.corpus.duplicates import format_id, read_ids
from orchestrator.corpus.near_copies import index_spec_documents
from orchestrator.corpus.overlap import index_evaluation_sets
from orchestrator.corpus.unit_audit import AuditTask, audit_unit, ids_file
from orchestrator.corpus.units import SPLITS, list_units
from orchestrator.errors import DataError
from tests.corpus.writing import split, write_texts

QUESTION = "What is the capital of France?"
TEXTS = [f"document {number} of a small corpus" for number in range(40)]


def watch(*items: str) -> Watch:
    return Watch(index_evaluation_sets({"capitals": items} if items else {}), index_spec_documents({}))


def task_of(file: Path, share: float = 0.0, fingerprint: str = "1") -> AuditTask:
    source = SourceConfig(role="general", paths=(str(file),), heldout_share=share)
    (unit,) = list_units("web", source, directory=file.parent / "shards" / "web", unit_bytes=1)
    return AuditTask(unit, fingerprint)


def test_every_document_and_reject_is_counted_once(tmp_path: Path) -> None:
    file = write_texts(tmp_path / "a.jsonl", [*TEXTS, 5, ""])
    found = audit_unit(task_of(file, 0.3), watch())
    assert (sum(found.num_documents.values()), found.rejects.num_rows, found.num_read) == (40, 2, 42)
    assert all(found.num_documents.values())
    assert found.content.num_documents == found.num_documents["train"]


def test_a_file_that_changes_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    file = write_texts(tmp_path / "a.jsonl", TEXTS)
    items = task_of(file).unit.read()
    assert isinstance(next(items), Document)
    write_texts(file, [*TEXTS, "more"])
    with pytest.raises(DataError, match=r"a\.jsonl changed since it was listed"):
        list(items)


def test_the_ids_of_each_split_are_kept_in_order(tmp_path: Path) -> None:
    file = write_texts(tmp_path / "a.jsonl", TEXTS)
    task = task_of(file, 0.3)
    audit_unit(task, watch())
    expected = {part: [document.id for document in split(file)[0] if task.unit.split_of(document) == part] for part in SPLITS}
    assert {part: [format_id(row) for row in read_ids(ids_file(task.unit, part))] for part in SPLITS} == expected


def test_only_what_would_be_trained_is_looked_at(tmp_path: Path) -> None:
    file = write_texts(tmp_path / "a.jsonl", [f"{text}\n{QUESTION}" for text in TEXTS])
    kept_back, half = audit_unit(task_of(file, 1.0), watch(QUESTION)), audit_unit(task_of(file, 0.5), watch(QUESTION))
    assert kept_back.overlaps == {}
    assert half.overlaps["capitals"].num_documents == half.num_documents["train"] < 40


def test_an_audit_that_is_complete_is_known_by_its_marker(tmp_path: Path) -> None:
    task = task_of(write_texts(tmp_path / "a.jsonl", [*TEXTS, QUESTION, 5]))
    assert task.completed() is None
    assert audit_unit(task, watch(QUESTION)) == task.completed()


@pytest.mark.parametrize("lost", ["audit_00000.json", "audit_00000.train.npy", "audit_00000.heldout.npy", "audit_00000.rejects.jsonl"])
def test_an_audit_that_lost_a_file_is_not_complete(tmp_path: Path, lost: str) -> None:
    task = task_of(write_texts(tmp_path / "a.jsonl", [*TEXTS, 5]), 0.3)
    audit_unit(task, watch())
    assert task.completed()
    (task.unit.directory / lost).unlink()
    assert task.completed() is None


def test_an_audit_of_other_files_or_for_another_watch_is_other_work(tmp_path: Path) -> None:
    file = write_texts(tmp_path / "a.jsonl", TEXTS)
    audit_unit(task_of(file), watch())
    assert task_of(file).completed()
    assert [task_of(file, 0.1).completed(), task_of(file, fingerprint="2").completed()] == [None, None]
    write_texts(file, [*TEXTS, "more"])
    assert task_of(file).completed() is None


def test_the_hash_of_all_documents_changes_with_each_and_with_their_order(tmp_path: Path) -> None:
    texts = ([*TEXTS], TEXTS[::-1], TEXTS[:-1], [*TEXTS[:-1], "another"])
    files = [write_texts(tmp_path / str(number) / "a.jsonl", part) for number, part in enumerate(texts)]
    found = [audit_unit(task_of(file), watch()) for file in files]
    assert len({audit.documents for audit in found}) == 4
    assert found[0].content == found[1].content != found[2].content
    assert document_id(TEXTS[0]) == split(files[0])[0][0].id
