"""Which documents of all sources occurred before, in an order of priority: held-out documents, spec sources, the others as configured."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash

from orchestrator.corpus.duplicates import Duplicates, Repeats, assemble, duplicates_in, num_buckets
from orchestrator.corpus.hashes import Ints
from orchestrator.corpus.source_audit import SourceAudit
from orchestrator.corpus.unit_audit import ids_file
from orchestrator.corpus.units import SPLITS, Split, Unit, writing_to
from orchestrator.runs.durable import write_whole
from orchestrator.runs.records import read_record, write_record

_RECORD, _REPEATS = "duplicates.json", "duplicates.npy"
Repeated = Mapping[Split, Ints]  # numbers of the documents of a unit within each split, sorted


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """The documents of one split of one unit.

    Attributes:
        source: its name.
        split: which documents of the unit.
        unit: the unit.
        documents: a hash of all documents of the unit.
        num_documents: of the split; not 0.
    """

    source: str
    split: Split
    unit: Unit
    documents: str
    num_documents: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DuplicateCount:
    """How many documents of one split of a source occurred before, and where the first occurrence of each is."""

    source: str
    split: Split
    kept_source: str
    kept_split: Split
    num_documents: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """One of many ranges of ids, to be searched on its own."""

    number: int
    of: int

    @property
    def name(self) -> str:
        return f"search for duplicates, bucket {self.number + 1} of {self.of}"

    @property
    def size(self) -> int:
        return 1

    def completed(self) -> Repeats | None:
        """No bucket has a marker: all are searched in little time, and the search has one."""
        return None


@dataclass(frozen=True, slots=True)
class Search:
    """What was searched, how often what was found, and where the repeats are.

    Attributes:
        request: a hash of all parts.
        counts: by source and split.
        repeats: by part, the numbers of its documents that occurred before.
    """

    request: str
    counts: list[DuplicateCount]
    repeats: list[Ints]


@dataclass(frozen=True, slots=True)
class _Record:
    request: str
    counts: list[DuplicateCount]
    num_repeats: list[int]


def parts_in_priority(audits: Sequence[SourceAudit]) -> list[Part]:
    """The parts of all sources; of two that hold the same document, the earlier one keeps it.

    Args:
        audits: in the order of the configuration.
    """
    parts = [
        Part(source=source.name, split=split, unit=unit, documents=audit.documents, num_documents=audit.num_documents[split])
        for source in sorted(audits, key=lambda source: source.role != "spec")
        for unit, audit in zip(source.units, source.audits, strict=True)
        for split in SPLITS
        if audit.num_documents[split]
    ]
    return sorted(parts, key=lambda part: part.split != "heldout")


def search_request(parts: Sequence[Part]) -> str:
    """A hash of all that decides what a search finds."""
    content = [(part.source, part.split, part.unit.index, part.documents) for part in parts]
    return xxhash.xxh3_128_hexdigest(repr(content).encode())


def buckets(parts: Sequence[Part]) -> list[Bucket]:
    """The tasks of a search."""
    number = num_buckets(sum(part.num_documents for part in parts))
    return [Bucket(index, number) for index in range(number)]


def search_bucket(bucket: Bucket, files: Sequence[Path]) -> Repeats:
    """Search a bucket.

    Args:
        bucket: which.
        files: `part_files` of all parts.

    Raises:
        DataError: a file is missing or damaged.
    """
    return duplicates_in(files, bucket.number, bucket.of)


def part_files(parts: Sequence[Part]) -> list[Path]:
    """The ids of each part."""
    return [ids_file(part.unit, part.split) for part in parts]


def conclude(parts: Sequence[Part], found: Sequence[Repeats]) -> Search:
    """Put together what was found in all buckets."""
    labels = [f"{part.split} {part.source}" for part in parts]
    duplicates: Duplicates = assemble(found, labels)
    names: dict[str, tuple[str, Split]] = {label: (part.source, part.split) for label, part in zip(labels, parts, strict=True)}
    counts = [
        DuplicateCount(
            source=names[repeated][0],
            split=names[repeated][1],
            kept_source=names[kept][0],
            kept_split=names[kept][1],
            num_documents=number,
        )
        for (kept, repeated), number in duplicates.counts.items()
    ]
    return Search(search_request(parts), counts, duplicates.repeats)


def write_search(directory: Path, search: Search) -> None:
    """Keep a search below `shards.dir`, so that the next preparation of the same documents has it.

    Raises:
        InfrastructureError: it cannot be written.
    """
    file = io.BytesIO()
    np.save(file, np.concatenate([np.zeros(0, dtype=np.int64), *search.repeats]))
    with writing_to(directory):
        (directory / _RECORD).unlink(missing_ok=True)
        write_whole(directory / _REPEATS, file.getvalue())
        write_record(directory / _RECORD, _Record(search.request, search.counts, [len(numbers) for numbers in search.repeats]))


def read_search(directory: Path, request: str) -> Search | None:
    """The search that was kept, if it was of the same request."""
    try:
        record = read_record(directory / _RECORD, _Record)
        repeats: Ints = np.load(directory / _REPEATS)
    except (OSError, ValueError, EOFError):
        return None
    if record.request != request or repeats.shape != (sum(record.num_repeats),):
        return None
    return Search(request, record.counts, np.split(repeats, np.cumsum(record.num_repeats)[:-1]))


def repeated_by_unit(parts: Sequence[Part], search: Search) -> dict[tuple[str, int], Repeated]:
    """The repeats of each unit that has any, by source and number of the unit."""
    found: dict[tuple[str, int], dict[Split, Ints]] = {}
    for part, numbers in zip(parts, search.repeats, strict=True):
        if len(numbers):
            found.setdefault((part.source, part.unit.index), {})[part.split] = numbers
    return dict(found)
