"""What is in a prepared source: `manifest.json`."""

from dataclasses import dataclass, field
from pathlib import Path

import xxhash

from orchestrator.corpus.audit import Findings
from orchestrator.corpus.duplicate_search import DuplicateCount
from orchestrator.corpus.overlap import EvaluationSet
from orchestrator.errors import ShardError
from orchestrator.runs.records import read_record, write_record
from orchestrator.shards.engines import EngineChoice

_MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """One token file, and beside it where its documents start and which tokens carry no loss.

    Attributes:
        file: its path below the source's directory.
        tokens, documents: how many it holds; each document's separator counts as a token of it.
        xxhash: xxh3-128 of its bytes.
        marks_xxhash: of the bytes of the two files beside it.
        untrained_tokens: how many carry no loss.
        untrained_spans: in how many runs these are; without any, there is no file of them.
        untrained_firsts: how many documents have a first token that carries no loss.
        documents_bytes: the size of the list of its documents; 0: it was prepared when that was not kept.
    """

    file: str
    tokens: int
    documents: int
    xxhash: str
    marks_xxhash: str = ""
    untrained_tokens: int = 0
    untrained_spans: int = 0
    untrained_firsts: int = 0
    documents_bytes: int = 0

    @property
    def starts_file(self) -> str:
        """(documents,) the first token of each, uint64 little-endian."""
        return f"{self.file.removesuffix('.bin')}.starts.bin"

    @property
    def untrained_file(self) -> str:
        """(untrained_spans, 2) first token of each span and the one after its last, uint64 little-endian; sorted, none touches another."""
        return f"{self.file.removesuffix('.bin')}.untrained.bin"

    @property
    def files(self) -> list[str]:
        """All of them."""
        return [self.file, self.starts_file, *([self.untrained_file] if self.untrained_spans else [])]

    def is_written(self, directory: Path, token_bytes: int) -> bool:
        """Whether its files are there, and as long as they should be.

        Args:
            directory: of the source.
            token_bytes: of one token.
        """
        sizes = {
            self.file: self.tokens * token_bytes,
            self.starts_file: 8 * self.documents,
            self.untrained_file: 16 * self.untrained_spans,
            self.documents_file: self.documents_bytes,
        }
        paths = {directory / file: sizes[file] for file in (*self.files, self.documents_file)}
        return all(path.is_file() and path.stat().st_size == size for path, size in paths.items())

    @property
    def documents_file(self) -> str:
        """The path of the list of its documents, below the source's directory."""
        return self.file.removesuffix(".bin") + ".documents.parquet"


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    """What was looked for in the documents of a source, and what was found, as they were read, before any was dropped.

    Attributes:
        evaluation_sets: the sets whose items were looked for.
        overlaps: by evaluation set: documents that hold something of it; all of them were allowed.
        near_copies: by spec source: documents that are near copies of one of its documents.
        duplicates: documents that occurred before, in a part of a source with priority.
    """

    evaluation_sets: list[EvaluationSet] = field(default_factory=list)
    overlaps: Findings = field(default_factory=dict)
    near_copies: Findings = field(default_factory=dict)
    duplicates: list[DuplicateCount] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """A prepared source.

    Attributes:
        name, role: as configured.
        request: a hash of what the configuration says of its files and its held-out documents.
        dtype: of the token files, little-endian: uint16 or uint32.
        tokenizer: its fingerprint.
        separator_id: the token after every document.
        train, heldout: shards in order; a split's tokens are their concatenation.
        num_read: how many things were in the files: as many documents as were tokenised, were dropped, and were no documents.
        rejects: how many things in the files were not documents.
        dropped: documents that were left out as repeats.
        engine: what encoded it.
        audit: what was found before it was tokenised.
    """

    name: str
    role: str
    request: str
    dtype: str
    tokenizer: str
    separator_id: int
    train: list[Shard]
    heldout: list[Shard]
    num_read: int
    rejects: int
    dropped: int
    engine: EngineChoice
    audit: Audit

    @property
    def fingerprint(self) -> str:
        """A hash of the content: tokenizer, and every shard's bytes, starts and spans in order."""
        splits = ("".join([f"{shard.xxhash} {shard.marks_xxhash}\n" for shard in split]) for split in (self.train, self.heldout))
        return xxhash.xxh3_128_hexdigest("\n".join([self.tokenizer, self.dtype, *splits]).encode())

    def tokens(self, split: str) -> int:
        return sum(shard.tokens for shard in self.shards(split))

    def untrained_tokens(self, split: str) -> int:
        return sum(shard.untrained_tokens for shard in self.shards(split))

    def documents(self, split: str) -> int:
        return sum(shard.documents for shard in self.shards(split))

    def shards(self, split: str) -> list[Shard]:
        return {"train": self.train, "heldout": self.heldout}[split]

    def unique_sequences(self, split: str, sequence_length: int) -> int:
        """Whole sequences in the split. Each needs one token more than it trains, its last label; what is left over is never trained."""
        return max(0, self.tokens(split) - 1) // sequence_length


@dataclass(frozen=True, slots=True)
class _Signed:
    fingerprint: str
    manifest: Manifest


def write_manifest(manifest: Manifest, directory: Path) -> None:
    """Write a source's manifest, whole or not at all."""
    write_record(directory / _MANIFEST, _Signed(manifest.fingerprint, manifest))


def forget_manifest(directory: Path) -> None:
    """Take back what was said of a source's shards, before they are replaced or when they must not be used."""
    (directory / _MANIFEST).unlink(missing_ok=True)


def read_manifest(directory: Path, source_name: str) -> Manifest:
    """Read a source's manifest.

    Raises:
        ShardError: there is none, or it is damaged.
    """
    path = directory / _MANIFEST
    try:
        signed = read_record(path, _Signed)
    except FileNotFoundError:
        raise ShardError(
            f"source {source_name!r} is not prepared: {path} is missing. Run `midtrain prepare` with the same configuration."
        ) from None
    except ValueError as error:
        raise ShardError(f"{path} is damaged ({error}). Delete it and run `midtrain prepare` again; complete shards are kept.") from None
    if signed.manifest.fingerprint != signed.fingerprint:
        raise ShardError(f"{path} was changed by hand: its fingerprint does not fit. Delete it and run `midtrain prepare` again.")
    return signed.manifest
