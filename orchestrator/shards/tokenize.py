"""One unit of work: read its files, keep back the held-out documents, tokenise, write a shard of each split, and last the marker."""

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import xxhash
from tokenizers import Tokenizer

from orchestrator.corpus.documents import Document, Reject, is_heldout, read_documents
from orchestrator.corpus.files import Unit
from orchestrator.errors import DataError, InfrastructureError
from orchestrator.shards.manifest import Shard, UnitResult, read_unit_result, write_json_whole
from orchestrator.shards.vocabulary import Vocabulary

_DOCUMENTS_AT_ONCE = 256


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
    """

    directory: Path
    index: int
    unit: Unit
    text_field: str
    heldout_share: float
    vocabulary: Vocabulary

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
        content = repr((files, self.text_field, self.heldout_share, self.vocabulary.fingerprint, self.vocabulary.separator_id))
        return xxhash.xxh3_128_hexdigest(content.encode())


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
    tokenizer = task.vocabulary.open()
    with ExitStack() as stack:
        writers = {split: stack.enter_context(_ShardWriter(task, split)) for split in ("train", "heldout")}
        for documents in _batched(_accepted(task, rejects)):
            for document, ids in zip(documents, _encode(tokenizer, documents), strict=True):
                split = "heldout" if is_heldout(document.id, task.heldout_share) else "train"
                writers[split].add(document, [*ids, task.vocabulary.separator_id])
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
    iterator = iter(documents)
    while batch := list(itertools.islice(iterator, _DOCUMENTS_AT_ONCE)):
        yield batch


def _encode(tokenizer: Tokenizer, documents: Sequence[Document]) -> Iterator[list[int]]:
    encodings = tokenizer.encode_batch_fast([document.text for document in documents], add_special_tokens=False)
    return (encoding.ids for encoding in encodings)


class _ShardWriter:
    """Appends documents to one shard's token file and remembers where each starts."""

    def __init__(self, task: UnitTask, split: str) -> None:
        self._directory = task.directory
        self._stem = f"{split}_{task.index:05d}"
        self._dtype = task.vocabulary.dtype.newbyteorder("<")
        self._hash = xxhash.xxh3_128()
        self._documents: dict[str, list[str] | list[int]] = {"id": [], "origin": [], "start": [], "tokens": []}
        self._num_tokens = 0

    def __enter__(self) -> "_ShardWriter":
        self._partial = self._directory / f"{self._stem}.bin.partial-{os.getpid()}"
        self._file = self._partial.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._partial.unlink(missing_ok=True)

    def add(self, document: Document, ids: list[int]) -> None:
        data = np.asarray(ids, dtype=self._dtype).tobytes()
        self._file.write(data)
        self._hash.update(data)
        row = {"id": document.id, "origin": document.origin, "start": self._num_tokens, "tokens": len(ids)}
        for column, value in row.items():
            self._documents[column].append(value)  # type: ignore[arg-type]
        self._num_tokens += len(ids)

    def finish(self) -> Shard | None:
        """Make the shard durable. A split without documents has none."""
        import pyarrow
        from pyarrow import parquet

        if not self._num_tokens:
            return None
        listed = self._directory / f"{self._stem}.documents.parquet"
        partial = listed.with_name(f"{listed.name}.partial-{os.getpid()}")
        parquet.write_table(pyarrow.table(self._documents), partial)
        partial.rename(listed)
        self._file.flush()
        os.fsync(self._file.fileno())
        name = f"{self._stem}.bin"
        self._partial.rename(self._directory / name)
        return Shard(file=name, tokens=self._num_tokens, documents=len(self._documents["id"]), xxhash=self._hash.hexdigest())
