"""Documents that occur twice, found by their ids over a whole corpus with bounded memory, one bucket of ids at a time.

A part is the documents of one unit of files; parts come in order of priority. A part's file holds its ids sorted, in columns, so that a
bucket (a range of ids) is one slice of each file: it reads its share and a few pages of a binary search, however many buckets there are.
Ids are hashes and so spread evenly; only copies of one document cannot be spread.
"""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orchestrator.corpus.hashes import Ints
from orchestrator.errors import DataError
from orchestrator.runs.durable import write_whole

Ids = NDArray[np.uint64]
BUCKET_IDS = 1 << 24  # 1.5 GB of memory while a bucket is searched


@dataclass(frozen=True, slots=True)
class Repeats:
    """The documents of a bucket whose id occurred before.

    Attributes:
        parts, documents: (n,) number of its part and number within the part; sorted by both.
        kept_parts: (n,) the part of the id's first occurrence.
    """

    parts: Ints
    documents: Ints
    kept_parts: Ints


@dataclass(frozen=True, slots=True)
class Duplicates:
    """The documents of a corpus whose id occurred before.

    Attributes:
        repeats: for each part the numbers of its documents that are repeats, sorted.
        counts: documents that are kept in one source and repeated in another, or within the same, by (kept, repeated).
    """

    repeats: list[Ints]
    counts: dict[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class ContentId:
    """What a source's documents are, in any order: how many, and the sum of their ids modulo 2^128. Parts are added with +."""

    num_documents: int
    sum_of_ids: int

    def __add__(self, other: "ContentId") -> "ContentId":
        return ContentId(self.num_documents + other.num_documents, (self.sum_of_ids + other.sum_of_ids) % (1 << 128))

    def __str__(self) -> str:
        return f"{self.num_documents}-{self.sum_of_ids:032x}"


def parse_ids(ids: Sequence[str]) -> Ids:
    """Document ids as numbers.

    Args:
        ids: 32 hexadecimal digits each.

    Returns:
        (n, 2) their upper and lower 64 bits.
    """
    return np.frombuffer(bytes.fromhex("".join(ids)), dtype=">u8").astype(np.uint64).reshape(-1, 2)


def format_id(row: Ids) -> str:
    """A document id, 32 hexadecimal digits, from its upper and lower 64 bits."""
    return f"{int(row[0]):016x}{int(row[1]):016x}"


def content_id(ids: Ids) -> ContentId:
    """The identity of documents regardless of their order: two sources with the same one hold the same documents.

    Args:
        ids: (n, 2), n below 2^32.
    """
    halves = ids & np.uint64(0xFFFFFFFF), ids >> np.uint64(32)
    (low, high), (low_carry, high_carry) = (half.sum(axis=0)[::-1].tolist() for half in halves)
    return ContentId(len(ids), (low + (low_carry << 32) + (high << 64) + (high_carry << 96)) % (1 << 128))


def write_ids(path: Path, ids: Ids) -> None:
    """Write the ids of a part, 24 bytes a document, whole or not at all.

    Args:
        path: where, ending in .npy: a (3, n) array of uint64, sorted by id: upper bits, lower bits, number of the document in the part.
        ids: (n, 2) in document order.

    Raises:
        OSError: it cannot be written.
    """
    order = np.lexsort((ids[:, 1], ids[:, 0]))
    file = io.BytesIO()
    np.save(file, np.stack([ids[order, 0], ids[order, 1], order.astype(np.uint64)]))
    write_whole(path, file.getvalue())


def read_ids(path: Path) -> Ids:
    """Read the ids of a part.

    Returns:
        (n, 2) in document order.

    Raises:
        DataError: the file is missing or damaged.
    """
    upper, lower, order = _open(path)
    ids = np.empty((len(order), 2), dtype=np.uint64)
    ids[order.astype(np.int64)] = np.stack([upper, lower], axis=1)
    return ids


def num_buckets(num_documents: int) -> int:
    """How many buckets keep each to about BUCKET_IDS ids."""
    return max(1, -(-num_documents // BUCKET_IDS))


def duplicates_in(parts: Sequence[Path], bucket: int, num_buckets: int) -> Repeats:
    """Find the repeats among the ids of one bucket. About 90 bytes of memory for each id in it.

    Args:
        parts: the files of `write_ids`, in the order in which documents are kept.
        bucket: from 0 to num_buckets - 1: the ids whose upper bits are in that share of their range.
        num_buckets: 1 or more.

    Raises:
        DataError: a file is missing or damaged.
    """
    (upper, lower, documents), part_of = _read_bucket(parts, bucket, num_buckets)
    order = _sorted_by_id(upper, lower)
    first = np.concatenate([np.ones(min(1, len(order)), dtype=np.bool_), _differs(upper[order]) | _differs(lower[order])])
    kept = order[np.flatnonzero(first)][np.cumsum(first) - 1]
    repeats = np.flatnonzero(~first)
    by_place = repeats[np.lexsort((documents[order[repeats]], part_of[order[repeats]]))]
    return Repeats(part_of[order[by_place]], documents[order[by_place]].astype(np.int64), part_of[kept[by_place]])


def assemble(buckets: Iterable[Repeats], sources: Sequence[str]) -> Duplicates:
    """Put the repeats of all buckets together; 24 bytes of memory for each repeat.

    Args:
        buckets: of every bucket once, in any order.
        sources: the source of each part.
    """
    empty = np.zeros((3, 0), dtype=np.int64)
    parts, documents, kept = np.concatenate(
        [empty, *(np.stack([found.parts, found.documents, found.kept_parts]) for found in buckets)], axis=1
    )
    order = np.lexsort((documents, parts))
    ends = np.searchsorted(parts[order], np.arange(1, len(sources)))
    return Duplicates(np.split(documents[order], ends)[: len(sources)], _count(kept, parts, sources))


def _count(kept: Ints, repeated: Ints, sources: Sequence[str]) -> dict[tuple[str, str], int]:
    names, number_of = np.unique(np.array(sources, dtype=np.str_), return_inverse=True)
    pairs, counts = np.unique(number_of[kept] * len(names) + number_of[repeated], return_counts=True)
    pairs_of_names = ((str(names[pair // len(names)]), str(names[pair % len(names)])) for pair in pairs.tolist())
    return dict(zip(pairs_of_names, counts.tolist(), strict=True))


def _read_bucket(parts: Sequence[Path], bucket: int, num_buckets: int) -> tuple[Ids, Ints]:
    """(3, n) rows of all parts' files, part by part, and (n,) the part of each."""
    slices = [_slice(path, bucket, num_buckets) for path in parts]
    part_of = np.repeat(np.arange(len(parts)), [piece.shape[1] for piece in slices])
    return np.concatenate([np.zeros((3, 0), dtype=np.uint64), *slices], axis=1), part_of


def _slice(path: Path, bucket: int, num_buckets: int) -> Ids:
    rows = _open(path)
    edges = [-(-(number << 64) // num_buckets) for number in (bucket, bucket + 1)]
    start, end = (len(rows[0]) if edge >> 64 else int(np.searchsorted(rows[0], np.uint64(edge))) for edge in edges)
    return np.array(rows[:, start:end])  # a copy, so that no file stays open


def _sorted_by_id(upper: Ids, lower: Ids) -> Ints:
    """A stable order by both columns. Parts are sorted and upper bits hardly ever tie by chance, so ties are seen to on their own."""
    order = np.argsort(upper, kind="stable")
    same = ~_differs(upper[order])
    tied = np.flatnonzero(np.concatenate([same, [False]]) | np.concatenate([[False], same])) if len(order) else order
    members = order[tied]
    order[tied] = members[np.lexsort((lower[members], upper[members]))]
    return order


def _differs(values: Ids) -> NDArray[np.bool_]:
    differs: NDArray[np.bool_] = values[1:] != values[:-1]
    return differs


def _open(path: Path) -> Ids:
    try:
        rows: Ids = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read as document ids ({error}). Delete it and run `midtrain prepare` again.") from None
    if rows.dtype != np.uint64 or rows.ndim != 2 or len(rows) != 3:
        raise DataError(
            f"{path} holds {rows.dtype} of shape {rows.shape}, not uint64 of shape (3, documents). "
            "Delete it and run `midtrain prepare` again."
        )
    return rows
