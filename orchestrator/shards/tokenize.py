"""One unit of work: read its files, keep back the held-out documents, tokenise, write a shard of each split, and last the marker."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xxhash

from orchestrator.corpus.batches import accepted, count_rows, document_batches
from orchestrator.corpus.documents import Reject
from orchestrator.corpus.duplicate_search import Repeated
from orchestrator.corpus.hashes import Ints
from orchestrator.corpus.rejects import Rejects, RejectWriter, rejects_file
from orchestrator.corpus.units import SPLITS, Split, Unit, writing_to
from orchestrator.errors import DataError
from orchestrator.runs.records import read_record, write_record
from orchestrator.shards.encoding import DocumentEncoder, Encoded, Rendering
from orchestrator.shards.engines import EngineName
from orchestrator.shards.manifest import Shard, forget_manifest
from orchestrator.shards.vocabulary import Vocabulary
from orchestrator.shards.writing import ShardWriter

_FORMAT = 3  # of what is written; another one is another result
_NO_NUMBERS: Ints = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, kw_only=True, slots=True)
class UnitResult:
    """What became of one unit of work: a shard of each split that had documents, and what was rejected.

    Attributes:
        request: a hash of all that decides the result; another request is other work.
        num_read: documents in the files, and all that rejects stand for: as many as are in the shards, were dropped, and were rejected.
        train, heldout: the shards.
        num_dropped: documents that were dropped as repeats of others.
        rejects: what was no document, the audit's and those that only tokenising finds.
    """

    request: str
    num_read: int
    train: Shard | None
    heldout: Shard | None
    num_dropped: int
    rejects: Rejects

    @property
    def shards(self) -> list[Shard]:
        return [shard for shard in (self.train, self.heldout) if shard]


@dataclass(frozen=True, kw_only=True, slots=True)
class TokeniseTask:
    """All that decides what a unit becomes.

    Attributes:
        unit: the files, and which of their documents are held out.
        max_document_tokens: a document with more, the separator not counted, is rejected; none: any length.
        rendering: what documents become before they are encoded.
        vocabulary: the tokenizer.
        engine: what encodes. Engines agree as far as was sampled, so a result is sure to be had again only from the same one.
        dropped: the documents to leave out.
    """

    unit: Unit
    max_document_tokens: int | None
    rendering: Rendering
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
        asked = (self.vocabulary.fingerprint, self.vocabulary.separator_id, self.engine, self.max_document_tokens, self.rendering)
        dropped = [(split, xxhash.xxh3_128_hexdigest(self.dropped[split].tobytes())) for split in SPLITS if split in self.dropped]
        return xxhash.xxh3_128_hexdigest(repr((_FORMAT, self.unit.request, asked, dropped)).encode())

    def completed(self) -> UnitResult | None:
        """The result, if the unit was completed for the same request."""
        try:
            result = read_record(self.marker, UnitResult)
        except (OSError, ValueError):
            return None
        there = all(shard.is_written(self.unit.directory, self.vocabulary.dtype.itemsize) for shard in result.shards)
        there = there and result.rejects.are_written(rejects_file(self.unit, "unit"))
        return result if there and result.request == self.request else None


def tokenise_unit(task: TokeniseTask) -> UnitResult:
    """Tokenise a unit, and leave its shards and its marker. The manifest, which may speak of other shards there, is taken back first.

    Raises:
        OrchestratorError: a file cannot be read or is not the one that was listed, or the shards cannot be written.
    """
    with writing_to(task.unit.directory):
        forget_manifest(task.unit.directory)
        task.marker.unlink(missing_ok=True)  # it speaks of what is replaced now
        result = _write_shards(task)
        write_record(task.marker, result)
    return result


def _write_shards(task: TokeniseTask) -> UnitResult:
    num_read = num_dropped = 0
    with ExitStack() as stack:
        writers = {split: stack.enter_context(_writer(task, split)) for split in SPLITS}
        listed = stack.enter_context(RejectWriter(rejects_file(task.unit, "unit")))
        for batch in _tokenised(task):
            num_read += batch.num_read
            num_dropped += batch.num_read - count_rows(batch.rejects) - sum(map(len, batch.encoded.values()))
            listed.add(batch.rejects)
            for split in SPLITS:
                writers[split].add(batch.encoded[split])
        shards = {split: writers[split].finish() for split in SPLITS}
        rejects = listed.finish()
    _check_dropped(task, num_dropped)
    return UnitResult(
        request=task.request,
        num_read=num_read,
        train=shards["train"],
        heldout=shards["heldout"],
        num_dropped=num_dropped,
        rejects=rejects,
    )


def _writer(task: TokeniseTask, split: Split) -> ShardWriter:
    return ShardWriter(task.unit.directory, task.unit.result(split, "").name, task.vocabulary.dtype, task.vocabulary.separator_id)


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
    encoded: dict[Split, list[Encoded]]
    rejects: list[Reject]


def _tokenised(task: TokeniseTask) -> Iterator[_Batch]:
    encoder = DocumentEncoder(task.vocabulary, task.engine, task.rendering)
    repeats = {split: _Repeats(task.dropped.get(split, _NO_NUMBERS)) for split in SPLITS}
    for items in document_batches(task.unit.read()):
        kept = [item for item in items if isinstance(item, Reject) or not repeats[task.unit.split_of(item)].next_is_one()]
        encoded = iter(encoder.encode(accepted(kept)))
        judged = [item if isinstance(item, Reject) else _within(task.max_document_tokens, next(encoded)) for item in kept]
        parted: dict[Split, list[Encoded]] = {split: [] for split in SPLITS}
        for item in judged:
            if not isinstance(item, Reject):
                parted[task.unit.split_of(item.document)].append(item)
        yield _Batch(count_rows(items), parted, [item for item in judged if isinstance(item, Reject)])


def _within(limit: int | None, item: Encoded | Reject) -> Encoded | Reject:
    if limit is None or isinstance(item, Reject) or len(item.ids) <= limit:
        return item
    return Reject(item.document.file, item.document.place, f"{len(item.ids):,} tokens, over corpus.max_document_tokens={limit}")


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
