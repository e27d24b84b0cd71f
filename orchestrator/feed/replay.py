"""The ledger of what was trained when, computed from the plan and the shards: nothing of it is written as a run goes on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from orchestrator.mixture.plan import Plan
from orchestrator.shards.document_list import read_document_list
from orchestrator.shards.manifest import Manifest
from orchestrator.shards.packing import PackingMethod
from orchestrator.shards.reader import ShardReader

_SHARDS_KEPT = 2  # sequences are looked at shard by shard


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedDocument:
    """A document's part of a sequence.

    Attributes:
        id, origin: of the document.
        start: the first of its tokens there, from 0 within the document.
        tokens: how many there are, a separator at its end included.
    """

    id: str
    origin: str
    start: int
    tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedSequence:
    """A sequence of the run.

    Attributes:
        sequence: its number in the run, from 0.
        source: the source's name.
        epoch: of the source, from 0.
        position: within the epoch.
        documents: in order.
    """

    sequence: int
    source: str
    epoch: int
    position: int
    documents: tuple[TrainedDocument, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Occurrence:
    """A time at which a document is trained: the step from 1, the sequence from 0, the source and its epoch from 0, and how many tokens."""

    step: int
    sequence: int
    source: str
    epoch: int
    tokens: int


class SourceDocuments:
    """The documents of one prepared source's training split, by the sequences that they are in."""

    def __init__(self, directory: Path, manifest: Manifest, *, packing: PackingMethod, sequence_length: int) -> None:
        """
        Args:
            directory, manifest: of the source.
            packing: how documents lie in sequences.
            sequence_length: tokens a sequence, the shifted label not counted.
        """
        self._reader = ShardReader(directory, manifest, "train", packing)
        self._packing, self._sequence_length = packing, sequence_length
        self._directory, self._shards = directory, manifest.train
        self._table = lru_cache(_SHARDS_KEPT)(lambda index: read_document_list(directory, manifest.train[index]))

    def of_sequence(self, position: int) -> Iterator[TrainedDocument]:
        """What documents a sequence of an epoch holds, in order. Where sequences are cut out of the stream, the last token of one, a label
        only, is the first of the next."""
        pieces = self._reader.pieces(np.array([position]), self._sequence_length)
        for shard, start, length, column in zip(pieces.shards, pieces.starts, pieces.lengths, pieces.columns, strict=True):
            if self._packing == "concatenate":
                length = min(length, self._sequence_length - column)
            yield from self._between(int(shard), int(start), int(start + length))

    def _between(self, index: int, start: int, end: int) -> Iterator[TrainedDocument]:
        table = self._table(index)
        starts = table["start"].to_numpy()
        first = max(0, int(np.searchsorted(starts, start, side="right")) - 1)
        for row in table.slice(first, int(np.searchsorted(starts, end)) - first).to_pylist():
            begins, ends = max(start, row["start"]), min(end, row["start"] + row["tokens"])
            if begins < ends:
                yield TrainedDocument(id=row["id"], origin=row["origin"], start=begins - row["start"], tokens=ends - begins)

    def find(self, document_id: str) -> tuple[int, dict[int, int]]:
        """Look for a document and its copies.

        Returns:
            Its tokens, a separator at its end included, 0 if it is not here; and each sequence of an epoch that holds one of them, and
            how many of its tokens.
        """
        length, found = 0, dict[int, int]()
        for index, shard in enumerate(self._shards):
            table = read_document_list(self._directory, shard, ["start", "tokens"], document_id)
            for row in table.to_pylist():
                length = row["tokens"]
                for position in self._reader.holding(index, row["start"], row["start"] + length, self._sequence_length).tolist():
                    found[position] = sum(part.tokens for part in self.of_sequence(position) if part.id == document_id)
        return length, found


def trained_at(plan: Plan, sources: Sequence[SourceDocuments], step: int) -> list[TrainedSequence]:
    """The sequences of a step, with their documents.

    Args:
        plan: of the run.
        sources: in the plan's order.
        step: from 1.
    """
    numbers = np.arange((step - 1) * plan.sequences_per_step, step * plan.sequences_per_step)
    draws = plan.look_up(numbers)
    found: dict[int, TrainedSequence] = {}
    for row in np.lexsort((draws.positions, draws.sources)).tolist():
        source, position = int(draws.sources[row]), int(draws.positions[row])
        found[row] = TrainedSequence(
            sequence=int(numbers[row]),
            source=plan.sources[source].name,
            epoch=int(draws.epochs[row]),
            position=position,
            documents=tuple(sources[source].of_sequence(position)),
        )
    return [found[row] for row in range(len(numbers))]


@dataclass(frozen=True, kw_only=True, slots=True)
class Occurrences:
    """When a document and its copies are trained in a run.

    Attributes:
        document_tokens: of the document; 0 if no source has it.
        unused_tokens: of it and of its copies, those in sequences that `mixture.unique_tokens` leaves out.
        times: in order.
    """

    document_tokens: int
    unused_tokens: int
    times: tuple[Occurrence, ...]


def occurrences_of(plan: Plan, sources: Sequence[SourceDocuments], document_id: str) -> Occurrences:
    """When a document or a copy of it is trained in a run."""
    found = [source.find(document_id) for source in sources]
    occurrences = [
        Occurrence(step=number // plan.sequences_per_step + 1, sequence=number, source=plan.sources[index].name, epoch=epoch, tokens=tokens)
        for index, (_, sequences) in enumerate(found)
        for position, tokens in sequences.items()
        for epoch, number in plan.numbers_of(index, position)
    ]
    unused = (
        tokens for index, (_, sequences) in enumerate(found) for position, tokens in sequences.items() if not plan.is_used(index, position)
    )
    return Occurrences(
        document_tokens=max(length for length, _ in found),
        unused_tokens=sum(unused),
        times=tuple(sorted(occurrences, key=lambda occurrence: occurrence.sequence)),
    )
