"""What one epoch of a split comes to, before anything of it is read: sequences, and labels that carry loss."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash

from orchestrator.config.schema import Config
from orchestrator.shards.manifest import Manifest, Shard
from orchestrator.shards.marks import read_spans, read_starts, untrained_before
from orchestrator.shards.packed import read_packed
from orchestrator.shards.packing import PackingMethod
from orchestrator.shards.pieces import Ints
from orchestrator.shards.reader import ShardReader

_LABELS_AT_ONCE = 1 << 20  # ten bytes each


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """How documents lie in sequences.

    Attributes:
        packing: `concatenate`, one after the other and cut where a sequence is full; or `best_fit`, whole where they fit.
        sequence_length: in tokens, the shifted label not counted.
        document_attention: whether each document sees itself alone, so that its first token is no label.
    """

    packing: PackingMethod
    sequence_length: int
    document_attention: bool

    def fingerprint(self, manifest: Manifest) -> str:
        """A hash of a source's content and of how it lies in sequences; for `concatenate` without document attention its manifest's."""
        if self.packing == "concatenate" and not self.document_attention:
            return manifest.fingerprint
        return xxhash.xxh3_128_hexdigest(f"{manifest.fingerprint}/{self.packing}/{self.document_attention}".encode())


def layout_of(config: Config) -> Layout:
    """The layout that a configuration asks for."""
    return Layout(
        packing=config.shards.packing,
        sequence_length=config.training.sequence_length,
        document_attention=config.feed.document_attention,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """One pass over a split.

    Attributes:
        sequences: how many there are.
        trained_tokens: labels that carry loss in all of them together, exact.
    """

    sequences: int
    trained_tokens: int


def read_epoch(directory: Path, manifest: Manifest, split: str, layout: Layout) -> Epoch:
    """Count an epoch. Reads at most the marks of two shards, or the counts of the packing.

    Args:
        directory: of the source.
        manifest: the source's.
        split: `train` or `heldout`.
        layout: how its documents lie in sequences.

    Raises:
        ShardError: it is not packed for this length, or the marks of a shard are missing or damaged.
    """
    if layout.packing == "best_fit":
        packed = read_packed(directory, manifest, layout.sequence_length).shards(split)
        kind = "trained_within_documents" if layout.document_attention else "trained_tokens"
        trained = sum(getattr(shard, kind) for shard in packed)
        return Epoch(sequences=sum(shard.sequences for shard in packed), trained_tokens=trained)
    sequences = manifest.unique_sequences(split, layout.sequence_length)
    labels = sequences * layout.sequence_length
    without_loss = _without_loss(directory, manifest, split, labels, layout.document_attention) if sequences else 0
    return Epoch(sequences=sequences, trained_tokens=labels - without_loss)


def trained_tokens_of(directory: Path, manifest: Manifest, split: str, layout: Layout, positions: Ints) -> int:
    """Count the labels that carry loss in some sequences of an epoch. Reads their marks, where any label carries none: 17 µs a sequence of
    2,048 tokens.

    Args:
        directory: of the source.
        manifest: the source's.
        split: `train` or `heldout`.
        layout: how its documents lie in sequences.
        positions: (n,) of the sequences within the epoch.

    Raises:
        ShardError: it is not packed for this length, or the marks of a shard are missing or damaged.
    """
    reader, length = ShardReader(directory, manifest, split, layout.packing), layout.sequence_length
    if not reader.has_untrained and not layout.document_attention:
        return len(positions) * length
    at_once = max(1, _LABELS_AT_ONCE // length)
    parts = (positions[begin : begin + at_once] for begin in range(0, len(positions), at_once))
    return sum(int(reader.marks(part, length, document_attention=layout.document_attention)[1].sum()) for part in parts)


def _without_loss(directory: Path, manifest: Manifest, split: str, labels: int, document_attention: bool) -> int:
    """Labels without loss: the first token of the split is no label, nor are those after the last whole sequence."""
    if not document_attention and not manifest.untrained_tokens(split):
        return 0
    shards = manifest.shards(split)
    count = -_in_shard(directory, shards[0], 1, document_attention)
    left = labels + 1
    for shard in shards:
        part = min(left, shard.tokens)
        count += _in_shard(directory, shard, part, document_attention) if part else 0
        left -= part
    return count


def _in_shard(directory: Path, shard: Shard, num_tokens: int, document_attention: bool) -> int:
    """How many of a shard's first tokens carry no loss as labels."""
    if num_tokens == shard.tokens:
        return shard.untrained_tokens + (shard.documents - shard.untrained_firsts) * document_attention
    spans = read_spans(directory, shard)
    count = int(untrained_before(spans, np.array([num_tokens]))[0])
    if document_attention:
        starts = read_starts(directory, shard)
        starts = starts[: np.searchsorted(starts, num_tokens)]
        count += len(starts) - int((untrained_before(spans, starts + 1) - untrained_before(spans, starts)).sum())
    return count
