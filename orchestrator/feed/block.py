"""A block: what one rank trains over a span of steps, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.feed.draws import DrawsAhead
from orchestrator.mixture.interleave import Ints
from orchestrator.mixture.plan import Plan
from orchestrator.shards.gathering import Gatherer
from orchestrator.shards.reader import ShardReader, Tokens


@dataclass(frozen=True, slots=True)
class Block:
    """Batches of one rank for consecutive steps.

    Attributes:
        first_step: counted from 0.
        tokens: (num_steps, sequences_per_rank, sequence_length + 1) token ids, uint16 or uint32.
        sources: (num_steps, sequences_per_rank) source indices.
        documents: (num_steps, sequences_per_rank, sequence_length + 1) which document of its sequence each token belongs to, int32; none:
            attention runs over the whole sequence.
        trained: (num_steps, sequences_per_rank, sequence_length) which labels carry loss; none: all.
    """

    first_step: int
    tokens: Tokens
    sources: NDArray[np.int64]
    documents: NDArray[np.int32] | None = None
    trained: NDArray[np.bool_] | None = None


class BlockBuilder:
    """Gathers blocks, each a pure function of the plan and the shards."""

    def __init__(self, plan: Plan, readers: Sequence[ShardReader], *, document_attention: bool = False) -> None:
        """
        Args:
            plan: of the run.
            readers: one a source, in the plan's order.
            document_attention: whether each document sees itself alone.
        """
        self._plan, self._readers, self._document_attention = plan, readers, document_attention
        self._has_marks = has_marks(readers, document_attention)
        self._gatherer = Gatherer(readers)
        self._draws = DrawsAhead(plan, self._gatherer)

    def build(self, steps: range, *, rank: int, world_size: int) -> Block:
        """A rank's batches.

        Args:
            steps: consecutive steps, counted from 0.
            rank: whose batches.
            world_size: ranks.

        Returns:
            The block. What training need not be told is not in it.

        Raises:
            ShardError: a shard is missing or damaged.
        """
        length, shape = self._plan.sequence_length, (len(steps), self._plan.sequences_per_step // world_size)
        sources, positions, places = self._draws.at(steps, rank=rank, world_size=world_size)
        documents, trained = self._marks(sources, positions) if self._has_marks else (None, None)
        return Block(
            first_step=steps.start,
            tokens=self._gatherer.gather(sources, positions, length, places).reshape(*shape, length + 1),
            sources=sources.reshape(shape),
            documents=None if documents is None else documents.reshape(*shape, length + 1),
            trained=None if trained is None else trained.reshape(*shape, length),
        )

    def _marks(self, sources: Ints, positions: Ints) -> tuple[NDArray[np.int32] | None, NDArray[np.bool_]]:
        """(n, sequence_length + 1) documents with document attention, and (n, sequence_length) which labels carry loss."""
        length = self._plan.sequence_length
        documents = np.empty((len(sources), length + 1), dtype=np.int32) if self._document_attention else None
        trained = np.empty((len(sources), length), dtype=np.bool_)
        for index in np.unique(sources):
            rows = np.flatnonzero(sources == index)
            within, trained[rows] = self._readers[index].marks(positions[rows], length, document_attention=self._document_attention)
            if documents is not None:
                documents[rows] = within
        return documents, trained


def has_marks(readers: Sequence[ShardReader], document_attention: bool) -> bool:
    """Whether training is to be told which labels carry loss: the same on every rank and at every step."""
    return document_attention or any(reader.has_untrained for reader in readers)
