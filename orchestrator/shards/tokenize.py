"""One unit of work: read its files, keep back the held-out documents, tokenise, write a shard of each split, and last the marker."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

import xxhash

from orchestrator.corpus.batches import accepted, document_batches
from orchestrator.corpus.documents import Document, Reject, is_heldout
from orchestrator.corpus.files import Unit, refuse_changed
from orchestrator.corpus.reading import MarkdownUnit, read_documents
from orchestrator.errors import InfrastructureError
from orchestrator.shards.encoder import EngineName
from orchestrator.shards.encoding import DocumentEncoder, Encoded, Rendering
from orchestrator.shards.manifest import UnitResult, read_unit_result, write_json_whole
from orchestrator.shards.vocabulary import Vocabulary
from orchestrator.shards.writing import ShardWriter

_FORMAT = 2  # of what is written; another one is another result


@dataclass(frozen=True, kw_only=True, slots=True)
class UnitTask:
    """All that decides what a unit becomes, and where it goes.

    Attributes:
        directory: the source's directory.
        index: the unit's number within its source.
        unit: the files.
        text_field, messages_field: of JSONL and Parquet; see `read_documents`.
        markdown: what is a document of a .md file.
        heldout_share: share of the documents that go to the held-out split; 1: all of them.
        max_document_tokens: a document with more, the separator not counted, is rejected; none: any length.
        rendering: what documents become before they are encoded.
        vocabulary: the tokenizer.
        engine: what encodes. Engines agree as far as was sampled, so a result is sure to be had again only from the same one.
    """

    directory: Path
    index: int
    unit: Unit
    text_field: str
    messages_field: str | None
    markdown: MarkdownUnit
    heldout_share: float
    max_document_tokens: int | None
    rendering: Rendering
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
    def file(self) -> str:
        return self.unit.files[0].path

    @property
    def request(self) -> str:
        """A hash of all but the place. A file that changed has another version."""
        files = [astuple(file) for file in self.unit.files]
        asked = (self.text_field, self.messages_field, self.markdown, self.heldout_share, self.max_document_tokens, self.rendering)
        tokens = (self.vocabulary.fingerprint, self.vocabulary.separator_id, self.engine)
        return xxhash.xxh3_128_hexdigest(repr((_FORMAT, files, asked, tokens)).encode())


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
        writers = {split: stack.enter_context(_writer(task, split)) for split in ("train", "heldout")}
        for encoded, rejected in _tokenised(task):
            rejects += rejected
            for split, writer in writers.items():
                writer.add([item for item in encoded if is_heldout(item.document.id, task.heldout_share) == (split == "heldout")])
        shards = {split: writer.finish() for split, writer in writers.items()}
    return UnitResult(request=task.request, rejects=rejects, train=shards["train"], heldout=shards["heldout"])


def _writer(task: UnitTask, split: str) -> ShardWriter:
    return ShardWriter(task.directory, f"{split}_{task.index:05d}", task.vocabulary.dtype, task.vocabulary.separator_id)


def _tokenised(task: UnitTask) -> Iterator[tuple[list[Encoded], list[Reject]]]:
    """What the files hold, a batch at a time: documents with their token ids, and rejects, of which there are now more."""
    encoder = DocumentEncoder(task.vocabulary, task.engine, task.rendering)
    for items in document_batches(_read(task)):
        encoded = iter(encoder.encode(accepted(items)))
        judged = [item if isinstance(item, Reject) else _within(task.max_document_tokens, next(encoded)) for item in items]
        yield [item for item in judged if not isinstance(item, Reject)], [item for item in judged if isinstance(item, Reject)]


def _within(limit: int | None, item: Encoded | Reject) -> Encoded | Reject:
    if limit is None or isinstance(item, Reject) or len(item.ids) <= limit:
        return item
    return Reject(item.document.file, item.document.place, f"{len(item.ids):,} tokens, over corpus.max_document_tokens={limit}")


def _read(task: UnitTask) -> Iterator[Document | Reject]:
    for file in task.unit.files:
        refuse_changed(file)
        yield from read_documents(file.path, text_field=task.text_field, markdown=task.markdown, messages_field=task.messages_field)
