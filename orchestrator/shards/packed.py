"""Shards packed by best fit for one sequence length: an index of pieces beside each shard, and the counts of a source in one file."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from orchestrator.corpus.units import writing_to
from orchestrator.errors import ShardError
from orchestrator.runs.durable import write_whole
from orchestrator.shards.manifest import Manifest, Shard
from orchestrator.shards.mapped import map_file
from orchestrator.shards.marks import ON_DISK, read_spans, read_starts, untrained_before
from orchestrator.shards.packing import Packing, pack
from orchestrator.shards.pieces import Ints, Pieces, joined, ranges


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedShard:
    """What packing made of a shard.

    Attributes:
        sequences, pieces: in its index.
        trained_tokens: labels that carry loss.
        trained_within_documents: those of them that are not the first token of a piece.
        cut_documents: how many were longer than a sequence.
    """

    sequences: int
    pieces: int
    trained_tokens: int
    trained_within_documents: int
    cut_documents: int

    @property
    def index_bytes(self) -> int:
        """The size of the index: first pieces, starts and lengths."""
        return ON_DISK.itemsize * (self.sequences + 1 + 2 * self.pieces)


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedSource:
    """A source packed for a sequence length.

    Attributes:
        manifest: the fingerprint of the manifest that it was packed from.
        sequence_length: in tokens.
        train, heldout: of each shard, in the manifest's order.
    """

    manifest: str
    sequence_length: int
    train: list[PackedShard]
    heldout: list[PackedShard]

    def shards(self, split: str) -> list[PackedShard]:
        return {"train": self.train, "heldout": self.heldout}[split]


@dataclass(frozen=True, kw_only=True, slots=True)
class PackTask:
    """A shard to pack for a sequence length."""

    directory: Path
    shard: Shard
    sequence_length: int

    @property
    def name(self) -> str:
        return f"packing of {self.directory}/{self.shard.file}"

    @property
    def size(self) -> int:
        """Bytes of what there is to read."""
        return ON_DISK.itemsize * (self.shard.documents + 2 * self.shard.untrained_spans)

    @property
    def index(self) -> Path:
        return self.directory / _index_file(self.shard, self.sequence_length)

    @property
    def marker(self) -> Path:
        """There from when the shard is packed until its source is."""
        return self.index.with_suffix(".json")

    def completed(self) -> PackedShard | None:
        """The result, if this very shard was packed by a preparation that did not come to its source's end."""
        try:
            content = json.loads(self.marker.read_text(encoding="utf-8"))
            packed = PackedShard(**content["packed"])
            is_complete = content["shard"] == asdict(self.shard) and self.index.stat().st_size == packed.index_bytes
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return packed if is_complete else None


def pack_shard(task: PackTask) -> PackedShard:
    """Pack a shard, and write its index and then its marker.

    Raises:
        OrchestratorError: the shard's starts or spans are missing or damaged, or the index cannot be written.
    """
    starts = read_starts(task.directory, task.shard)
    packing = pack(np.diff(starts, append=task.shard.tokens), task.sequence_length + 1)
    index = np.concatenate([packing.first_pieces, packing.starts, packing.lengths]).astype("<u8").tobytes()
    packed = _count(packing, read_spans(task.directory, task.shard))
    with writing_to(task.directory):
        task.marker.unlink(missing_ok=True)  # it may speak of another shard of this name
        write_whole(task.index, index)
        write_whole(task.marker, json.dumps({"shard": asdict(task.shard), "packed": asdict(packed)}).encode() + b"\n")
    return packed


def _count(packing: Packing, spans: Ints) -> PackedShard:
    """Labels are all tokens but the first of a sequence; within documents, all but the first of a piece."""
    ends = packing.starts + packing.lengths
    untrained, of_first, of_all = (untrained_before(spans, tokens) for tokens in (packing.starts, packing.starts + 1, ends))
    trained_first = 1 - (of_first - untrained)
    trained = int((packing.lengths - (of_all - untrained)).sum())
    return PackedShard(
        sequences=packing.num_sequences,
        pieces=len(packing.starts),
        trained_tokens=trained - int(trained_first[packing.first_pieces[:-1]].sum()),
        trained_within_documents=trained - int(trained_first.sum()),
        cut_documents=packing.cut_documents,
    )


def plan_packing(directory: Path, manifest: Manifest, sequence_length: int) -> list[PackTask]:
    """The shards of a source that are to be packed for a sequence length: all of them, those of its held-out split last; or none, as
    they are packed. If they are not, the counts of another packing are taken back."""
    shards = (*manifest.train, *manifest.heldout)
    tasks = [PackTask(directory=directory, shard=shard, sequence_length=sequence_length) for shard in shards]
    try:
        packed = read_packed(directory, manifest, sequence_length)
        is_packed = [task.index.stat().st_size for task in tasks] == [shard.index_bytes for shard in (*packed.train, *packed.heldout)]
    except (ShardError, OSError):
        is_packed = False
    if not is_packed:
        _counts_file(directory, sequence_length).unlink(missing_ok=True)  # it speaks of what is replaced now
    return [] if is_packed else tasks


def finish_packing(manifest: Manifest, tasks: Sequence[PackTask], shards: Sequence[PackedShard]) -> None:
    """Write the counts of a source, by which it is packed, and remove its shards' markers.

    Args:
        manifest: of the source.
        tasks: as `plan_packing` gave them, at least one.
        shards: what became of each.
    """
    train, heldout = list(shards[: len(manifest.train)]), list(shards[len(manifest.train) :])
    directory, sequence_length = tasks[0].directory, tasks[0].sequence_length
    packed = PackedSource(manifest=manifest.fingerprint, sequence_length=sequence_length, train=train, heldout=heldout)
    with writing_to(directory):
        write_whole(_counts_file(directory, sequence_length), json.dumps(asdict(packed)).encode() + b"\n")
        for task in tasks:
            task.marker.unlink(missing_ok=True)


def read_packed(directory: Path, manifest: Manifest, sequence_length: int) -> PackedSource:
    """Read the counts of a source.

    Raises:
        ShardError: it is not packed for this length, or was packed from other shards.
    """
    path = _counts_file(directory, sequence_length)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        train, heldout = ([PackedShard(**shard) for shard in content.pop(split)] for split in ("train", "heldout"))
        packed = PackedSource(**content, train=train, heldout=heldout)
    except FileNotFoundError:
        raise ShardError(
            f"source {manifest.name!r} is not packed for training.sequence_length={sequence_length}: {path} is missing. "
            f"Run `midtrain prepare` with the same configuration; nothing is tokenised again."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ShardError(f"{path} is damaged ({error}). Delete it and run `midtrain prepare` again; nothing is tokenised again.") from None
    if packed.manifest != manifest.fingerprint:
        raise ShardError(f"{path} was made of other shards than there are now. Run `midtrain prepare` again; nothing is tokenised again.")
    return packed


class PackedSplit:
    """The sequences of a packed split, found by their numbers."""

    def __init__(self, directory: Path, manifest: Manifest, split: str, sequence_length: int) -> None:
        """
        Raises:
            ShardError: it is not packed for this length.
        """
        self._directory, self._sequence_length = directory, sequence_length
        self._shards = manifest.shards(split)
        self._packed = read_packed(directory, manifest, sequence_length).shards(split)
        self._before = np.cumsum([0, *(shard.sequences for shard in self._packed)], dtype=np.int64)
        self._owner = object()

    def pieces(self, positions: Ints) -> Pieces:
        """Where sequences lie.

        Args:
            positions: (n,) sequence numbers.

        Raises:
            ShardError: an index is missing or of another size.
        """
        shards = np.searchsorted(self._before, positions, side="right") - 1
        zeros, rows = np.zeros_like(shards), np.arange(len(positions))
        sequences = Pieces(shards, positions - self._before[shards], zeros, rows, zeros)
        return joined([self._within(shard, chosen) for shard, chosen in sequences.by_shard()])

    def _within(self, index: int, sequences: Pieces) -> Pieces:
        """The pieces of sequences of one shard; their `starts` are sequence numbers within it."""
        firsts, starts, lengths = self._index(index)
        begins = firsts[sequences.starts]
        which, piece = ranges(begins, firsts[sequences.starts + 1])
        lengths = lengths[piece]
        before = lengths.cumsum() - lengths
        columns = before - before[np.searchsorted(which, np.arange(len(begins)))][which]
        return Pieces(np.full_like(piece, index), starts[piece], lengths, sequences.rows[which], columns)

    def holding(self, shard: int, start: int, end: int) -> Ints:
        """The sequences that hold a stretch of a shard's tokens.

        Raises:
            ShardError: its index is missing or of another size.
        """
        firsts, starts, lengths = self._index(shard)
        pieces = np.flatnonzero((starts < end) & (starts + lengths > start))
        sequences: Ints = np.unique(np.searchsorted(firsts, pieces, side="right") - 1) + self._before[shard]
        return sequences

    def _index(self, index: int) -> tuple[Ints, Ints, Ints]:
        """First pieces of sequences, starts of pieces, and their lengths, of one shard."""
        packed, shard = self._packed[index], self._shards[index]
        path = f"{self._directory}/{_index_file(shard, self._sequence_length)}"
        numbers = np.frombuffer(map_file(self._owner, path, packed.index_bytes), ON_DISK).view(np.int64)
        firsts, starts, lengths = np.split(numbers, [packed.sequences + 1, packed.sequences + 1 + packed.pieces])
        return firsts, starts, lengths


def _index_file(shard: Shard, sequence_length: int) -> str:
    """(sequences + 1,) first pieces, (pieces,) starts, (pieces,) lengths; uint64 little-endian."""
    return f"{shard.file.removesuffix('.bin')}.best_fit_{sequence_length}.bin"


def _counts_file(directory: Path, sequence_length: int) -> Path:
    return directory / f"best_fit_{sequence_length}.json"
