"""The units of work that a source is made of: files, what decides what their documents are, and where their results go."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Literal

import xxhash

from orchestrator.config.data import SourceConfig
from orchestrator.corpus.documents import Document, Reject, is_heldout
from orchestrator.corpus.files import identity, into_groups, list_files, refuse_changed
from orchestrator.corpus.reading import MarkdownUnit, read_documents
from orchestrator.corpus.storage import SourceFile
from orchestrator.errors import DataError, InfrastructureError

Split = Literal["train", "heldout"]
SPLITS: tuple[Split, ...] = ("train", "heldout")


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """Files that become one shard of each split.

    Attributes:
        directory: the source's directory, where results go.
        index: the unit's number within its source.
        files: in order.
        text_field, messages_field: of JSONL and Parquet; see `read_documents`.
        markdown: what is a document of a .md file.
        heldout_share: share of the documents that go to the held-out split; 1: all of them.
    """

    directory: Path
    index: int
    files: tuple[SourceFile, ...]
    text_field: str
    messages_field: str | None
    markdown: MarkdownUnit
    heldout_share: float

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    @property
    def request(self) -> str:
        """A hash of all but the place. A file that changed has another version."""
        asked = (self.text_field, self.messages_field, self.markdown, self.heldout_share)
        return xxhash.xxh3_128_hexdigest(repr(([astuple(file) for file in self.files], asked)).encode())

    def result(self, kind: str, suffix: str) -> Path:
        """Where a result goes, such as `train_00000.bin`."""
        return self.directory / f"{kind}_{self.index:05d}{suffix}"

    def read(self) -> Iterator[Document | Reject]:
        """What the files hold, in order.

        Raises:
            OrchestratorError: a file cannot be read or is not the one that was listed.
        """
        for file in self.files:
            refuse_changed(file)
            yield from self.read_file(file)
            refuse_changed(file)

    def read_file(self, file: SourceFile) -> Iterator[Document | Reject]:
        """What one of the files holds, in order."""
        return read_documents(file.path, text_field=self.text_field, markdown=self.markdown, messages_field=self.messages_field)

    def split_of(self, document: Document) -> Split:
        """The split that a document of the unit belongs to."""
        return "heldout" if is_heldout(document.id, self.heldout_share) else "train"


def list_units(name: str, source: SourceConfig, *, directory: Path, unit_bytes: int) -> list[Unit]:
    """List the units of a source: those of its training files, then those of its held-out files.

    Args:
        name, source: as configured.
        directory: the source's.
        unit_bytes: where a unit is full.

    Raises:
        OrchestratorError: files are missing or empty, or cannot be reached.
    """
    trained = list_files(name, source.paths)
    heldout = list_files(name, source.heldout_paths) if source.heldout_paths else []
    _refuse_shared(name, trained, heldout)
    if source.messages_field is not None:
        _refuse_texts(name, [*trained, *heldout])
    groups = [
        (group, share) for files, share in ((trained, source.heldout_share), (heldout, 1.0)) for group in into_groups(files, unit_bytes)
    ]
    return [
        Unit(
            directory=directory,
            index=index,
            files=group,
            text_field=source.text_field,
            messages_field=source.messages_field,
            markdown=source.markdown,
            heldout_share=share,
        )
        for index, (group, share) in enumerate(groups)
    ]


def _refuse_shared(name: str, trained: Sequence[SourceFile], heldout: Sequence[SourceFile]) -> None:
    """A file that is trained says nothing when it is measured."""
    paths = {identity(file) for file in trained}
    if shared := [file.path for file in heldout if identity(file) in paths]:
        raise DataError(f"source {name!r}: {shared[0]} is both in paths and in heldout_paths. Take it out of one of them.")


def _refuse_texts(name: str, files: Sequence[SourceFile]) -> None:
    """A text is no conversation."""
    if texts := [file.path for file in files if file.path.endswith((".txt", ".md"))]:
        raise DataError(
            f"source {name!r} has messages_field, and {texts[0]} is a text. Give JSONL or Parquet, or make it a source of its own."
        )


@contextmanager
def writing_to(directory: Path) -> Iterator[None]:
    """Make a directory if need be; a write into it that fails is an error that names it.

    Raises:
        InfrastructureError: it cannot be made or written to, for example because the disk is full.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise InfrastructureError(
            f"cannot write to {directory}: {error}. Free space there or set shards.dir, and prepare again; complete units are kept."
        ) from error
