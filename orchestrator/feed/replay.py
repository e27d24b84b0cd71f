"""The ledger of what was trained when, computed from the plan and the shards: nothing of it is written as a run goes on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow
from numpy.typing import NDArray
from pyarrow import compute, parquet

from orchestrator.mixture.plan import Plan
from orchestrator.shards.manifest import Manifest

_SHARDS_KEPT = 256


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
    """The documents of one prepared source's training split, by where their tokens are."""

    def __init__(self, directory: Path, manifest: Manifest) -> None:
        self._directory = directory
        self._files = [directory / shard.file.replace(".bin", ".documents.parquet") for shard in manifest.train]
        self._starts: NDArray[np.int64] = np.cumsum([0, *(shard.tokens for shard in manifest.train)])
        self._table = lru_cache(_SHARDS_KEPT)(lambda index: parquet.read_table(self._files[index]))

    def between(self, start: int, end: int) -> Iterator[TrainedDocument]:
        """What documents have tokens in a stretch of the split, and how many."""
        first, last = np.searchsorted(self._starts, [start, end - 1], side="right") - 1
        for index in range(int(first), int(last) + 1):
            yield from self._between(index, start - int(self._starts[index]), end - int(self._starts[index]))

    def _between(self, index: int, start: int, end: int) -> Iterator[TrainedDocument]:
        table = self._table(index)
        starts = table["start"].to_numpy()
        first = max(0, int(np.searchsorted(starts, start, side="right")) - 1)
        for row in table.slice(first, int(np.searchsorted(starts, end)) - first).to_pylist():
            begins, ends = max(start, row["start"]), min(end, row["start"] + row["tokens"])
            if begins < ends:
                yield TrainedDocument(id=row["id"], origin=row["origin"], start=begins - row["start"], tokens=ends - begins)

    def find(self, document_id: str) -> list[tuple[int, int]]:
        """The (first, past the last) tokens of each copy of a document in the split."""
        found = []
        for index, file in enumerate(self._files):
            table = parquet.read_table(file, columns=["id", "start", "tokens"], filters=compute.field("id") == pyarrow.scalar(document_id))
            offset = int(self._starts[index])
            found += [(offset + row["start"], offset + row["start"] + row["tokens"]) for row in table.to_pylist()]
        return found


def trained_at(plan: Plan, sources: Sequence[SourceDocuments], step: int) -> list[TrainedSequence]:
    """The sequences of a step, with their documents.

    Args:
        plan: of the run.
        sources: in the plan's order.
        step: from 1.
    """
    numbers = np.arange((step - 1) * plan.sequences_per_step, step * plan.sequences_per_step)
    draws, length = plan.look_up(numbers), plan.sequence_length
    return [
        TrainedSequence(
            sequence=number,
            source=plan.sources[source].name,
            epoch=epoch,
            position=position,
            documents=tuple(sources[source].between(position * length, (position + 1) * length)),
        )
        for number, source, epoch, position in zip(
            numbers.tolist(), draws.sources.tolist(), draws.epochs.tolist(), draws.positions.tolist(), strict=True
        )
    ]


def occurrences_of(plan: Plan, sources: Sequence[SourceDocuments], document_id: str) -> list[Occurrence]:
    """When a document is trained in a run, in order."""
    found = [
        occurrence
        for index, documents in enumerate(sources)
        for start, end in documents.find(document_id)
        for occurrence in _of_tokens(plan, index, start, end)
    ]
    return sorted(found, key=lambda occurrence: occurrence.sequence)


def _of_tokens(plan: Plan, source: int, start: int, end: int) -> Iterator[Occurrence]:
    length = plan.sequence_length
    last = min((end - 1) // length, plan.sources[source].unique_sequences - 1)  # what is left over is never trained
    for position in range(start // length, last + 1):
        tokens = min(end, (position + 1) * length) - max(start, position * length)
        for epoch, number in plan.numbers_of(source, position):
            step = number // plan.sequences_per_step + 1
            yield Occurrence(step=step, sequence=number, source=plan.sources[source].name, epoch=epoch, tokens=tokens)
