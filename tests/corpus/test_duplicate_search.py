"""Which of two copies is kept, and that a search is made once."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.config.data import SourceConfig
from orchestrator.corpus.audit import Watch
from orchestrator.corpus.duplicate_search import (
    Part,
    Search,
    buckets,
    conclude,
    part_files,
    parts_in_priority,
    read_search,
    repeated_by_unit,
    search_bucket,
    search_request,
    write_search,
)
from orchestrator.corpus.near_copies import index_spec_documents
from orchestrator.corpus.overlap import index_evaluation_sets
from orchestrator.corpus.source_audit import SourceAudit
from orchestrator.corpus.unit_audit import AuditTask, audit_unit
from orchestrator.corpus.units import list_units
from tests.corpus.writing import write_texts

NOTHING = Watch(index_evaluation_sets({}), index_spec_documents({}))


def audited(folder: Path, name: str, texts: list[list[str]], heldout: list[str] | None = None, role: str = "general") -> SourceAudit:
    """A source, a file and so a unit for each list of texts, and one more for those that are held out."""
    files = [write_texts(folder / name / f"{number}.jsonl", part) for number, part in enumerate(texts)]
    kept_back = (str(write_texts(folder / name / "heldout.jsonl", heldout)),) if heldout else ()
    source = SourceConfig(role=role, paths=tuple(map(str, files)), heldout_paths=kept_back)  # type: ignore[arg-type]
    units = list_units(name, source, directory=folder / "shards" / name, unit_bytes=1)
    return SourceAudit(name, role, units, [audit_unit(AuditTask(unit, ""), NOTHING) for unit in units])


def search(parts: list[Part]) -> Search:
    return conclude(parts, [search_bucket(bucket, part_files(parts)) for bucket in buckets(parts)])


def dropped(audits: list[SourceAudit]) -> dict[tuple[str, int], dict[str, list[int]]]:
    parts = parts_in_priority(audits)
    repeated = repeated_by_unit(parts, search(parts))
    return {unit: {split: numbers.tolist() for split, numbers in found.items()} for unit, found in repeated.items()}


def test_within_a_source_the_first_occurrence_is_kept(tmp_path: Path) -> None:
    web = audited(tmp_path, "web", [["a", "b", "a"], ["c", "b", "d", "c"]])
    assert dropped([web]) == {("web", 0): {"train": [2]}, ("web", 1): {"train": [1, 3]}}


def test_held_out_documents_go_before_spec_sources_and_these_before_the_others_in_their_order(tmp_path: Path) -> None:
    web = audited(tmp_path, "web", [["a", "b", "c", "d"]])
    books = audited(tmp_path, "books", [["d", "e", "a"]], heldout=["f"])
    spec = audited(tmp_path, "spec", [["b", "c", "f"]], heldout=["c"], role="spec")
    assert dropped([web, books, spec]) == {
        ("web", 0): {"train": [1, 2]},
        ("books", 0): {"train": [0, 2]},
        ("spec", 0): {"train": [1, 2]},
    }


def test_a_document_that_is_held_out_twice_is_kept_once(tmp_path: Path) -> None:
    audits = [audited(tmp_path, name, [[name]], heldout=["same", f"{name}!"]) for name in ("web", "books")]
    assert dropped(audits) == {("books", 1): {"heldout": [0]}}


def test_documents_are_counted_by_where_they_are_and_where_they_occurred_first(tmp_path: Path) -> None:
    web = audited(tmp_path, "web", [["a", "a", "b", "c", "s"]], heldout=["h"])
    spec = audited(tmp_path, "spec", [["b", "c", "h"]], heldout=["s"], role="spec")
    found = search(parts_in_priority([web, spec])).counts
    assert {(c.source, c.split, c.kept_source, c.kept_split): c.num_documents for c in found} == {
        ("web", "train", "web", "train"): 1,
        ("web", "train", "spec", "train"): 2,
        ("web", "train", "spec", "heldout"): 1,
        ("spec", "train", "web", "heldout"): 1,
    }


def test_a_search_is_kept_and_is_the_same_when_it_is_read(tmp_path: Path) -> None:
    parts = parts_in_priority([audited(tmp_path, "web", [["a", "b", "a"], ["c", "b"]]), audited(tmp_path, "books", [["x"]])])
    made = search(parts)
    write_search(tmp_path, made)
    kept = read_search(tmp_path, search_request(parts))
    assert kept
    assert (kept.counts, [numbers.tolist() for numbers in kept.repeats]) == (made.counts, [numbers.tolist() for numbers in made.repeats])


@pytest.mark.parametrize("lost", ["duplicates.json", "duplicates.npy"])
def test_a_search_that_lost_a_file_or_is_of_other_parts_is_made_again(tmp_path: Path, lost: str) -> None:
    parts = parts_in_priority([audited(tmp_path, "web", [["a", "b", "a"], ["c", "b"]])])
    write_search(tmp_path, search(parts))
    assert read_search(tmp_path, search_request(parts))
    others = [parts[::-1], parts[:1], [replace(parts[0], documents="other"), parts[1]], [replace(parts[0], source="books"), parts[1]]]
    assert [read_search(tmp_path, search_request(other)) for other in others] == [None] * 4
    (tmp_path / lost).unlink()
    assert read_search(tmp_path, search_request(parts)) is None
