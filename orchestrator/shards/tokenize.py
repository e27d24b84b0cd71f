"""One unit of work: read its files, keep back the held-out documents, tokenise, write a shard of each split, and last the marker."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import xxhash
from numpy.typing import NDArray

from orchestrator.corpus.documents import Document, Reject, is_heldout, read_documents
from orchestrator.corpus.files import Unit
from orchestrator.errors import DataError, InfrastructureError
from orchestrator.shards.encoder import EngineName, open_encoder
from orchestrator.shards.manifest import Shard, UnitResult, read_unit_result, write_json_whole
from orchestrator.shards.vocabulary import Vocabulary

_CHARACTERS_AT_ONCE = 1 << 20

_Encoded = tuple[Document, NDArray[np.uint32]]


@dataclass(frozen=True, kw_only=True, slots=True)
class UnitTask:
    """All that decides what a unit becomes, and where it goes.

    Attributes:
        directory: the source's directory.
        index: the unit's number within its source.
        unit: the files.
        text_field: of JSONL and Parquet.
        heldout_share: share of the documents that go to the held-out split; 1: all of them.
        vocabulary: the tokenizer.
        engine: what encodes. Engines agree as far as was sampled, so a result is sure to be had again only from the same one.
    """

    directory: Path
    index: int
    unit: Unit
    text_field: str
    heldout_share: float
    vocabulary: Vocabulary
    engine: EngineName

    @property
    def marker(self) -> Path:
        """The file that says that the unit is complete."""
        return self.directory / f"unit_{self.index:05d}.json"

    @property
    def size_bytes(self) -> int:
        return sum(size for _, size in self.unit.files)

    @property
    def request(self) -> str:
        """A hash of all but the place. A file that changed has another modification time."""
        files = [(path, size, _modified(path)) for path, size in self.unit.files]
        tokens = (self.vocabulary.fingerprint, self.vocabulary.separator_id, self.engine)
        return xxhash.xxh3_128_hexdigest(repr((files, self.text_field, self.heldout_share, *tokens)).encode())


def _modified(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Restore it, or take it out of the paths.") from None


def run_unit(task: UnitTask) -> UnitResult:
    """Do a unit, unless its marker says that it was done.

    Raises:
        InfrastructureError: the shards cannot be written.
    """
    request = task.request  # of the files as they are before they are read
    if done := read_unit_result(task.marker, request):
        return done
    try:
        task.directory.mkdir(parents=True, exist_ok=True)
        result = _tokenise(task, request)
        write_json_whole(task.marker, asdict(result))
    except OSError as error:
        raise InfrastructureError(
            f"cannot write shards to {task.directory}: {error}. Free space there or set shards.dir; complete shards are kept."
        ) from error
    return result


def _tokenise(task: UnitTask, request: str) -> UnitResult:
    rejects: list[tuple[str, str]] = []
    encoder = open_encoder(task.vocabulary, task.engine)
    with ExitStack() as stack:
        writers = {split: stack.enter_context(_ShardWriter(task, split)) for split in ("train", "heldout")}
        for documents in _batched(_accepted(task, rejects)):
            encoded = zip(documents, encoder.encode_batch([document.text for document in documents]), strict=True)
            batches: dict[str, list[_Encoded]] = {split: [] for split in writers}
            for document, ids in encoded:
                batches["heldout" if is_heldout(document.id, task.heldout_share) else "train"].append((document, ids))
            for split, batch in batches.items():
                writers[split].add(batch)
        shards = {split: writer.finish() for split, writer in writers.items()}
    return UnitResult(request=request, rejects=rejects, train=shards["train"], heldout=shards["heldout"])


def _accepted(task: UnitTask, rejects: list[tuple[str, str]]) -> Iterator[Document]:
    for path, _ in task.unit.files:
        for item in read_documents(Path(path), task.text_field):
            if isinstance(item, Reject):
                rejects.append((item.origin, item.reason))
            else:
                yield item


def _batched(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Documents in their order, about a million characters at a time."""
    batch: list[Document] = []
    num_characters = 0
    for document in documents:
        batch.append(document)
        num_characters += len(document.text)
        if num_characters >= _CHARACTERS_AT_ONCE:
            yield batch
            batch, num_characters = [], 0
    if batch:
        yield batch


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
