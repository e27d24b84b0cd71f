"""Documents that occur twice, found bucket by bucket, against a search with a set."""

import io
import resource
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.corpus.documents import document_id
from orchestrator.corpus.duplicates import (
    BUCKET_IDS,
    Duplicates,
    Ids,
    assemble,
    content_id,
    duplicates_in,
    format_id,
    num_buckets,
    parse_ids,
    read_ids,
    write_ids,
)
from orchestrator.errors import DataError

EDGES = [0, 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1]
ids = st.tuples(st.sampled_from(EDGES), st.sampled_from(EDGES))
part = st.lists(ids, max_size=12)
corpora = st.lists(st.tuples(st.sampled_from(["general", "spec", "web"]), part), max_size=5)


def as_ids(rows: list[tuple[int, int]]) -> Ids:
    return np.array(rows, dtype=np.uint64).reshape(-1, 2)


def search(directory: Path, corpus: list[tuple[str, list[tuple[int, int]]]], num_buckets: int) -> Duplicates:
    paths = [directory / f"part_{number}.npy" for number in range(len(corpus))]
    for path, (_, rows) in zip(paths, corpus, strict=True):
        write_ids(path, as_ids(rows))
    buckets = [duplicates_in(paths, bucket, num_buckets) for bucket in reversed(range(num_buckets))]
    return assemble(buckets, [source for source, _ in corpus])


def slow_search(corpus: list[tuple[str, list[tuple[int, int]]]]) -> tuple[list[list[int]], dict[tuple[str, str], int]]:
    kept: dict[tuple[int, int], str] = {}
    repeats: list[list[int]] = []
    counts: Counter[tuple[str, str]] = Counter()
    for source, rows in corpus:
        repeats.append([number for number, row in enumerate(rows) if row in kept or row in rows[:number]])
        for number, row in enumerate(rows):
            first = kept.setdefault(row, source)
            counts[first, source] += number in repeats[-1]
    return repeats, {pair: count for pair, count in counts.items() if count}


@settings(deadline=None)
@given(corpus=corpora, num_buckets=st.integers(1, 9))
def test_the_repeats_are_those_of_a_search_with_a_set_for_any_number_of_buckets(
    corpus: list[tuple[str, list[tuple[int, int]]]], num_buckets: int
) -> None:
    with TemporaryDirectory() as directory:
        duplicates = search(Path(directory), corpus, num_buckets)
    assert ([found.tolist() for found in duplicates.repeats], duplicates.counts) == slow_search(corpus)


@settings(deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)), max_size=30))
def test_ids_are_read_in_document_order_as_they_were_written(rows: list[tuple[int, int]]) -> None:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "ids.npy"
        write_ids(path, as_ids(rows))
        assert np.array_equal(read_ids(path), as_ids(rows))
        assert [found.name for found in Path(directory).iterdir()] == ["ids.npy"]


def test_what_is_kept_is_in_the_first_part_and_what_is_repeated_is_counted_by_source(tmp_path: Path) -> None:
    once, twice, thrice, within = (2**63, 5), (7, 7), (2**64 - 1, 0), (3, 3)
    corpus = [("spec", [twice, thrice]), ("web", [within, within, thrice, once]), ("web", [thrice, twice, within])]
    duplicates = search(tmp_path, corpus, num_buckets=2)
    assert [found.tolist() for found in duplicates.repeats] == [[], [1, 2], [0, 1, 2]]
    assert duplicates.counts == {("spec", "web"): 3, ("web", "web"): 2}


def test_ids_that_share_one_half_only_are_different(tmp_path: Path) -> None:
    rows = [(1, 2), (1, 1), (2, 1), (1, 3), (1, 2)]
    assert [found.tolist() for found in search(tmp_path, [("a", rows)], 1).repeats] == [[4]]


def test_a_bucket_holds_its_share_of_hashed_ids(tmp_path: Path) -> None:
    rows = parse_ids([document_id(str(number % 5000)) for number in range(10_000)])
    write_ids(tmp_path / "a.npy", rows)
    sizes = [len(duplicates_in([tmp_path / "a.npy"], bucket, 10).parts) for bucket in range(10)]
    assert (sum(sizes), min(sizes) > 400, max(sizes) < 600) == (5000, True, True)


@pytest.mark.parametrize(("num_documents", "expected"), [(0, 1), (1, 1), (BUCKET_IDS, 1), (BUCKET_IDS + 1, 2), (10**10, 597)])
def test_there_are_as_many_buckets_as_keep_each_small(num_documents: int, expected: int) -> None:
    assert num_buckets(num_documents) == expected


@given(texts=st.lists(st.text(), max_size=5))
def test_ids_are_numbers_and_back(texts: list[str]) -> None:
    written = [document_id(text) for text in texts]
    assert [format_id(row) for row in parse_ids(written)] == written


@given(rows=st.lists(ids, max_size=20))
def test_the_content_of_a_source_does_not_depend_on_order_or_on_its_parts(rows: list[tuple[int, int]]) -> None:
    whole = content_id(as_ids(rows))
    assert whole.sum_of_ids == sum((upper << 64) + lower for upper, lower in rows) % 2**128
    assert content_id(as_ids(rows[::-1])) == whole
    assert content_id(as_ids(rows[:7])) + content_id(as_ids(rows[7:])) == whole


def test_sources_with_other_documents_or_the_same_ones_twice_have_other_content() -> None:
    one = parse_ids([document_id(text) for text in "abc"])
    contents = {str(content_id(rows)) for rows in (one, one[:2], one[[0, 1, 1]], np.concatenate([one, one]), one[:0])}
    assert len(contents) == 5


def test_there_may_be_more_parts_than_files_may_be_open(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_files + 20, limits[1]))
        duplicates = search(tmp_path, [("a", [(1, 1)])] * 60, num_buckets=2)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert duplicates.counts == {("a", "a"): 59}


def whole_file() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros((3, 100), dtype=np.uint64))
    return file.getvalue()


@pytest.mark.parametrize("content", [b"", b"not numpy", whole_file()[:-1], None])
def test_a_file_that_is_missing_or_damaged_is_named_with_a_remedy(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ids.npy"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"ids\.npy.*midtrain prepare"):
        duplicates_in([path], 0, 1)


def test_a_file_of_another_shape_or_type_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ids.npy"
    for array in (np.zeros((3, 4)), np.zeros((4, 2), dtype=np.uint64), np.zeros(3, dtype=np.uint64)):
        np.save(path, array)
        with pytest.raises(DataError, match="shape"):
            read_ids(path)
