"""One unit of work: read its files, keep back the held-out documents, tokenise, write a shard of each split, and last the marker."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

import numpy as np
import xxhash
from numpy.typing import NDArray

from orchestrator.corpus.batches import accepted, document_batches
from orchestrator.corpus.documents import Document, Reject, is_heldout
from orchestrator.corpus.files import Unit, refuse_changed
from orchestrator.corpus.reading import MarkdownUnit, read_documents
from orchestrator.errors import InfrastructureError
from orchestrator.shards.encoder import EngineName, open_encoder
from orchestrator.shards.manifest import Shard, UnitResult, read_unit_result, write_json_whole
from orchestrator.shards.vocabulary import Vocabulary

_Encoded = tuple[Document, NDArray[np.uint32]]


@dataclass(frozen=True, kw_only=True, slots=True)
class UnitTask:
    """All that decides what a unit becomes, and where it goes.

    Attributes:
        directory: the source's directory.
        index: the unit's number within its source.
        unit: the files.
        text_field: of JSONL and Parquet.
        markdown: what is a document of a .md file.
        heldout_share: share of the documents that go to the held-out split; 1: all of them.
        max_document_tokens: a document with more, the separator not counted, is rejected; none: any length.
        vocabulary: the tokenizer.
        engine: what encodes. Engines agree as far as was sampled, so a result is sure to be had again only from the same one.
    """

    directory: Path
    index: int
    unit: Unit
    text_field: str
    markdown: MarkdownUnit
    heldout_share: float
    max_document_tokens: int | None
    vocabulary: Vocabulary
    engine: EngineName

    @property
    def marker(self) -> Path:
        """The file that says that the unit is complete."""
        return self.directory / f"unit_{self.index:05d}.json"

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.unit.files)

    @property
    def request(self) -> str:
        """A hash of all but the place. A file that changed has another version."""
        files = [astuple(file) for file in self.unit.files]
        asked = (self.text_field, self.markdown, self.heldout_share, self.max_document_tokens)
        tokens = (self.vocabulary.fingerprint, self.vocabulary.separator_id, self.engine)
        return xxhash.xxh3_128_hexdigest(repr((files, asked, tokens)).encode())


def run_unit(task: UnitTask) -> UnitResult:
    """Do a unit, unless its marker says that it was done.

    Raises:
        OrchestratorError: a file cannot be read or is not the one that was listed, or the shards cannot be written.
    """
    if done := read_unit_result(task.marker, task.request):
        return done
    try:
        task.directory.mkdir(parents=True, exist_ok=True)
        result = _write_shards(task)
        write_json_whole(task.marker, asdict(result))
    except OSError as error:
        raise InfrastructureError(
            f"cannot write shards to {task.directory}: {error}. Free space there or set shards.dir; complete shards are kept."
        ) from error
    return result


def _write_shards(task: UnitTask) -> UnitResult:
    rejects: list[Reject] = []
    with ExitStack() as stack:
        writers = {split: stack.enter_context(_ShardWriter(task, split)) for split in ("train", "heldout")}
        for encoded, rejected in _tokenised(task):
            rejects += rejected
            for split, writer in writers.items():
                writer.add([pair for pair in encoded if is_heldout(pair[0].id, task.heldout_share) == (split == "heldout")])
        shards = {split: writer.finish() for split, writer in writers.items()}
    return UnitResult(request=task.request, rejects=rejects, train=shards["train"], heldout=shards["heldout"])


def _tokenised(task: UnitTask) -> Iterator[tuple[list[_Encoded], list[Reject]]]:
    """What the files hold, a batch at a time: documents with their token ids, and rejects, of which there are now more."""
    encoder = open_encoder(task.vocabulary, task.engine)
    for items in document_batches(_read(task)):
        documents = accepted(items)
        encoded = iter(zip(documents, encoder.encode_batch([document.text for document in documents]), strict=True))
        judged = [item if isinstance(item, Reject) else _within(task.max_document_tokens, *next(encoded)) for item in items]
        yield [item for item in judged if not isinstance(item, Reject)], [item for item in judged if isinstance(item, Reject)]


def _within(limit: int | None, document: Document, ids: NDArray[np.uint32]) -> _Encoded | Reject:
    if limit is None or len(ids) <= limit:
        return document, ids
    return Reject(document.file, document.place, f"{len(ids):,} tokens, over corpus.max_document_tokens={limit}")


def _read(task: UnitTask) -> Iterator[Document | Reject]:
    for file in task.unit.files:
        refuse_changed(file)
        yield from read_documents(file.path, text_field=task.text_field, markdown=task.markdown)


class _ShardWriter:
    """Appends documents to one shard's token file and remembers where each starts."""

    def __init__(self, task: UnitTask, split: str) -> None:
        self._directory = task.directory
        self._stem = f"{split}_{task.index:05d}"
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
