"""What is in a prepared source: `manifest.json`, and for every shard the marker that says it is complete."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import xxhash

from orchestrator.corpus.documents import Reject
from orchestrator.errors import ShardError
from orchestrator.runs.durable import write_whole


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
    """

    file: str
    tokens: int
    documents: int
    xxhash: str
    marks_xxhash: str = ""
    untrained_tokens: int = 0
    untrained_spans: int = 0
    untrained_firsts: int = 0

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


@dataclass(frozen=True, kw_only=True, slots=True)
class UnitResult:
    """What became of one unit of work: a shard of each split that had documents, and what was rejected.

    Attributes:
        request: a hash of all that decides the result; another request is other work.
        train, heldout: the shards.
        rejects: in the order of the files.
    """

    request: str
    train: Shard | None
    heldout: Shard | None
    rejects: list[Reject] = field(default_factory=list)


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
        rejects: how many things in the files were not documents.
    """

    name: str
    role: str
    request: str
    dtype: str
    tokenizer: str
    separator_id: int
    train: list[Shard]
    heldout: list[Shard]
    rejects: int

    @property
    def fingerprint(self) -> str:
        """A hash of the content: tokenizer, and every shard's bytes, starts and spans in order."""
        content = [self.tokenizer, self.dtype, *([[s.xxhash, s.marks_xxhash] for s in split] for split in (self.train, self.heldout))]
        return xxhash.xxh3_128_hexdigest(json.dumps(content).encode())

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


def write_manifest(manifest: Manifest, directory: Path) -> None:
    """Write a source's manifest, whole or not at all."""
    write_json_whole(directory / "manifest.json", asdict(manifest) | {"fingerprint": manifest.fingerprint})


def write_rejects(rejects: Sequence[Reject], directory: Path) -> Path:
    """Write a source's `rejects.jsonl`, a line each, whole or not at all; what an earlier preparation rejected is replaced."""
    path = directory / "rejects.jsonl"
    write_whole(path, b"".join(json.dumps(reject.as_record(), ensure_ascii=False).encode() + b"\n" for reject in rejects))
    return path


def read_manifest(directory: Path, source_name: str) -> Manifest:
    """Read a source's manifest.

    Raises:
        ShardError: there is none, or it is damaged.
    """
    path = directory / "manifest.json"
    try:
        content = dict(json.loads(path.read_text(encoding="utf-8")))
        fingerprint = content.pop("fingerprint")
        train, heldout = ([Shard(**shard) for shard in content.pop(split)] for split in ("train", "heldout"))
        manifest = Manifest(**content, train=train, heldout=heldout)
    except FileNotFoundError:
        raise ShardError(
            f"source {source_name!r} is not prepared: {path} is missing. Run `midtrain prepare` with the same configuration."
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise ShardError(f"{path} is damaged ({error}). Delete it and run `midtrain prepare` again; complete shards are kept.") from None
    if manifest.fingerprint != fingerprint:
        raise ShardError(f"{path} was changed by hand: its fingerprint does not fit. Delete it and run `midtrain prepare` again.")
    return manifest


def read_unit_result(marker: Path, request: str) -> UnitResult | None:
    """The result of a unit that was completed for the same request, or none."""
    try:
        content: dict[str, Any] = json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or content.get("request") != request:
        return None
    train, heldout = (Shard(**content[split]) if content[split] else None for split in ("train", "heldout"))
    files = [marker.parent / file for shard in (train, heldout) if shard for file in shard.files]
    if not all(file.is_file() and file.stat().st_size for file in files):
        return None
    return UnitResult(request=request, rejects=[Reject(**reject) for reject in content["rejects"]], train=train, heldout=heldout)


def write_json_whole(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file so that it is there whole or not at all, a power cut included."""
    write_whole(path, json.dumps(content, indent=2).encode() + b"\n")
