"""One unit of work: read its files, keep back the held-out documents, tokenise, write a shard of each split, and last the marker."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xxhash
from numpy.typing import NDArray

from orchestrator.corpus.batches import accepted, document_batches
from orchestrator.corpus.documents import Document, Reject
from orchestrator.corpus.duplicate_search import Repeated
from orchestrator.corpus.hashes import Ints
from orchestrator.corpus.units import SPLITS, Split, Unit, writing_to
from orchestrator.errors import DataError
from orchestrator.runs.records import read_record, write_record
from orchestrator.shards.encoder import open_encoder
from orchestrator.shards.engines import EngineName
from orchestrator.shards.manifest import Shard, forget_manifest
from orchestrator.shards.vocabulary import Vocabulary

_Encoded = tuple[Document, NDArray[np.uint32]]
_NO_NUMBERS: Ints = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, kw_only=True, slots=True)
class UnitResult:
    """What became of one unit of work: a shard of each split that had documents, and what was rejected.

    Attributes:
        request: a hash of all that decides the result; another request is other work.
        num_read: documents and rejects in the files: as many as are in the shards, were dropped, and were rejected.
        train, heldout: the shards.
        num_dropped: documents that were dropped as repeats of others.
        rejects: in the order of the files.
    """

    request: str
    num_read: int
    train: Shard | None
    heldout: Shard | None
    num_dropped: int
    rejects: list[Reject]

    @property
    def shards(self) -> list[Shard]:
        return [shard for shard in (self.train, self.heldout) if shard]


@dataclass(frozen=True, kw_only=True, slots=True)
class TokeniseTask:
    """All that decides what a unit becomes.

    Attributes:
        unit: the files, and which of their documents are held out.
        max_document_tokens: a document with more, the separator not counted, is rejected; none: any length.
        vocabulary: the tokenizer.
        engine: what encodes. Engines agree as far as was sampled, so a result is sure to be had again only from the same one.
        dropped: the documents to leave out.
    """

    unit: Unit
    max_document_tokens: int | None
    vocabulary: Vocabulary
    engine: EngineName
    dropped: Repeated = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"tokenising of {self.unit.files[0].path}"

    @property
    def size(self) -> int:
        return self.unit.size_bytes

    @property
    def marker(self) -> Path:
        """The file that says that the unit is complete."""
        return self.unit.result("unit", ".json")

    @property
    def request(self) -> str:
        """A hash of all but the place."""
        tokens = (self.vocabulary.fingerprint, self.vocabulary.separator_id, self.engine, self.max_document_tokens)
        dropped = [(split, xxhash.xxh3_128_hexdigest(self.dropped[split].tobytes())) for split in SPLITS if split in self.dropped]
        return xxhash.xxh3_128_hexdigest(repr((self.unit.request, tokens, dropped)).encode())

    def completed(self) -> UnitResult | None:
        """The result, if the unit was completed for the same request."""
        try:
            result = read_record(self.marker, UnitResult)
            sizes = [(self.unit.directory / shard.file).stat().st_size for shard in result.shards]
        except (OSError, ValueError):
            return None
        complete = sizes == [shard.tokens * self.vocabulary.dtype.itemsize for shard in result.shards]
        return result if complete and result.request == self.request else None


def tokenise_unit(task: TokeniseTask) -> UnitResult:
    """Tokenise a unit, and leave its shards and its marker. The manifest, which may speak of other shards there, is taken back first.

    Raises:
        OrchestratorError: a file cannot be read or is not the one that was listed, or the shards cannot be written.
    """
    with writing_to(task.unit.directory):
        forget_manifest(task.unit.directory)
        result = _write_shards(task)
        write_record(task.marker, result)
    return result


def _write_shards(task: TokeniseTask) -> UnitResult:
    rejects: list[Reject] = []
    num_read = num_dropped = 0
    with ExitStack() as stack:
        writers = {split: stack.enter_context(_ShardWriter(task, split)) for split in SPLITS}
        for batch in _tokenised(task):
            num_read += batch.num_read
            num_dropped += batch.num_read - len(batch.rejects) - sum(map(len, batch.encoded.values()))
            rejects += batch.rejects
            for split in SPLITS:
                writers[split].add(batch.encoded[split])
        shards = {split: writers[split].finish() for split in SPLITS}
    _check_dropped(task, num_dropped)
    return UnitResult(
        request=task.request,
        num_read=num_read,
        train=shards["train"],
        heldout=shards["heldout"],
        num_dropped=num_dropped,
        rejects=rejects,
    )


def _check_dropped(task: TokeniseTask, num_dropped: int) -> None:
    asked = sum(map(len, task.dropped.values()))
    if num_dropped != asked:
        raise DataError(
            f"{task.unit.files[0].path} or a file after it changed in mid-preparation: {asked:,} duplicates were found in it and "
            f"{num_dropped:,} met again. Prepare again when nothing writes to it."
        )


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch of what files hold: how much that was, documents with their token ids, and rejects, of which there are now more."""

    num_read: int
    encoded: dict[Split, list[_Encoded]]
    rejects: list[Reject]


def _tokenised(task: TokeniseTask) -> Iterator[_Batch]:
    encoder = open_encoder(task.vocabulary, task.engine)
    repeats = {split: _Repeats(task.dropped.get(split, _NO_NUMBERS)) for split in SPLITS}
    for items in document_batches(task.unit.read()):
        kept = [item for item in items if isinstance(item, Reject) or not repeats[task.unit.split_of(item)].next_is_one()]
        documents = accepted(kept)
        encoded = iter(zip(documents, encoder.encode_batch([document.text for document in documents]), strict=True))
        judged = [item if isinstance(item, Reject) else _within(task.max_document_tokens, *next(encoded)) for item in kept]
        parted: dict[Split, list[_Encoded]] = {split: [] for split in SPLITS}
        for item in judged:
            if not isinstance(item, Reject):
                parted[task.unit.split_of(item[0])].append(item)
        yield _Batch(len(items), parted, [item for item in judged if isinstance(item, Reject)])


def _within(limit: int | None, document: Document, ids: NDArray[np.uint32]) -> _Encoded | Reject:
    if limit is None or len(ids) <= limit:
        return document, ids
    return Reject(document.file, document.place, f"{len(ids):,} tokens, over corpus.max_document_tokens={limit}")


class _Repeats:
    """Which documents of a split are repeats, asked for each in its turn."""

    def __init__(self, numbers: Ints) -> None:
        self._numbers = iter(numbers.tolist())
        self._next, self._seen = next(self._numbers, None), 0

    def next_is_one(self) -> bool:
        is_one = self._next == self._seen
        self._seen += 1
        if is_one:
            self._next = next(self._numbers, None)
        return is_one


class _ShardWriter:
    """Appends documents to one shard's token file and remembers where each starts."""

    def __init__(self, task: TokeniseTask, split: Split) -> None:
        self._directory = task.unit.directory
        self._stem = task.unit.result(split, "").name
        self._dtype = task.vocabulary.dtype.newbyteorder("<")
        self._separator = np.array([task.vocabulary.separator_id], dtype=np.uint32)
        self._hash = xxhash.xxh3_128()
        self._ids: list[str] = []
        self._origins: list[str] = []
        self._lengths: list[int] = []

    def __enter__(self) -> "_ShardWriter":
        self._partial = self._directory / f"{self._stem}.bin.partial-{os.getpid()}"
        self._file = self._partial.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._partial.unlink(missing_ok=True)

    def add(self, batch: Sequence[_Encoded]) -> None:
        if not batch:
            return
        parts = [part for _, ids in batch for part in (ids, self._separator)]
        data = np.concatenate(parts, dtype=self._dtype, casting="same_kind").data
        self._file.write(data)
        self._hash.update(data)
        self._ids += [document.id for document, _ in batch]
        self._origins += [document.origin for document, _ in batch]
        self._lengths += [len(ids) + 1 for _, ids in batch]

    def finish(self) -> Shard | None:
        """Make the shard durable. A split without documents has none."""
        import pyarrow
        from pyarrow import parquet

        if not self._ids:
            return None
        lengths = np.array(self._lengths, dtype=np.int64)
        num_tokens = int(lengths.sum())
        starts = lengths.cumsum() - lengths
        listed = self._directory / f"{self._stem}.documents.parquet"
        partial = listed.with_name(f"{listed.name}.partial-{os.getpid()}")
        table = pyarrow.table({"id": self._ids, "origin": self._origins, "start": starts, "tokens": lengths})
        parquet.write_table(table, partial)
        partial.rename(listed)
        self._file.flush()
        os.fsync(self._file.fileno())
        name = f"{self._stem}.bin"
        self._partial.rename(self._directory / name)
        return Shard(file=name, tokens=num_tokens, documents=len(self._ids), xxhash=self._hash.hexdigest())
