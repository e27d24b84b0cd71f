"""One unit of work: read its files, keep back the held-out documents, tokenise, write a shard of each split, and last the marker."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

import numpy as np
import xxhash
from tokenizers import Tokenizer

from orchestrator.corpus.documents import Document, Reject, is_heldout
from orchestrator.corpus.files import Unit, refuse_changed
from orchestrator.corpus.reading import MarkdownUnit, read_documents
from orchestrator.errors import InfrastructureError
from orchestrator.shards.manifest import Shard, UnitResult, read_unit_result, write_json_whole
from orchestrator.shards.vocabulary import Vocabulary

_ITEMS_AT_ONCE = 256
_CHARACTERS_AT_ONCE = 4 << 20


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
    """

    directory: Path
    index: int
    unit: Unit
    text_field: str
    markdown: MarkdownUnit
    heldout_share: float
    max_document_tokens: int | None
    vocabulary: Vocabulary

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
        content = repr((files, asked, self.vocabulary.fingerprint, self.vocabulary.separator_id))
        return xxhash.xxh3_128_hexdigest(content.encode())


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
        for item, ids in _tokenised(task):
            if isinstance(item, Reject):
                rejects.append(item)
            else:
                split = "heldout" if is_heldout(item.id, task.heldout_share) else "train"
                writers[split].add(item, [*ids, task.vocabulary.separator_id])
        shards = {split: writer.finish() for split, writer in writers.items()}
    return UnitResult(request=task.request, rejects=rejects, train=shards["train"], heldout=shards["heldout"])


def _tokenised(task: UnitTask) -> Iterator[tuple[Document | Reject, list[int]]]:
    """What the files hold, in order: documents with their token ids, and rejects, of which there are now more."""
    tokenizer = task.vocabulary.open()
    for items in _batched(_read(task)):
        encoded = _encode(tokenizer, [item for item in items if isinstance(item, Document)])
        for item in items:
            ids = next(encoded) if isinstance(item, Document) else []
            yield _within(task.max_document_tokens, item, len(ids)), ids


def _within(limit: int | None, item: Document | Reject, num_tokens: int) -> Document | Reject:
    if limit is None or num_tokens <= limit:
        return item
    return Reject(item.file, item.place, f"{num_tokens:,} tokens, over corpus.max_document_tokens={limit}")


def _read(task: UnitTask) -> Iterator[Document | Reject]:
    for file in task.unit.files:
        refuse_changed(file)
        yield from read_documents(file.path, text_field=task.text_field, markdown=task.markdown)


def _batched(items: Iterable[Document | Reject]) -> Iterator[list[Document | Reject]]:
    """Lists of so many items, or of so much text, as are tokenised at once."""
    batch, num_characters = list[Document | Reject](), 0
    for item in items:
        batch.append(item)
        num_characters += len(item.text) if isinstance(item, Document) else 0
        if len(batch) == _ITEMS_AT_ONCE or num_characters >= _CHARACTERS_AT_ONCE:
            yield batch
            batch, num_characters = [], 0
    if batch:
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
