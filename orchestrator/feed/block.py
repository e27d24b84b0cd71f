"""A block: what one rank trains over a span of steps, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.feed.draws import DrawsAhead
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


def build_block(
    draws_ahead: DrawsAhead, readers: Sequence[ShardReader], *, steps: range, rank: int, world_size: int, document_attention: bool = False
) -> Block:
    """Gather a block: a pure function of the plan and the shards.

    Args:
        draws_ahead: of the run's plan.
        readers: one a source, in the plan's order.
        steps: consecutive steps, counted from 0.
        rank: whose batches.
        world_size: ranks.
        document_attention: whether each document sees itself alone.

    Returns:
        The block. What training need not be told is not in it.

    Raises:
        ShardError: a shard is missing or damaged.
    """
    draws = draws_ahead.at(steps, rank=rank, world_size=world_size)
    (dtype,) = {reader.dtype for reader in readers}  # one tokenizer
    length, num_sequences = draws_ahead.plan.sequence_length, len(draws.sources)
    shape = (len(steps), draws_ahead.plan.sequences_per_step // world_size)
    tokens = np.empty((num_sequences, length + 1), dtype=dtype)
    documents = np.empty((num_sequences, length + 1), dtype=np.int32) if document_attention else None
    trained = np.empty((num_sequences, length), dtype=np.bool_) if has_marks(readers, document_attention) else None
    for index in np.unique(draws.sources):
        rows = np.flatnonzero(draws.sources == index)
        reader, positions = readers[index], draws.positions[rows]
        reader.gather(positions, length, out=tokens, rows=rows)
        if trained is not None:
            within, trained[rows] = reader.marks(positions, length, document_attention=document_attention)
            if documents is not None:
                documents[rows] = within
    return Block(
        first_step=steps.start,
        tokens=tokens.reshape(*shape, length + 1),
        sources=draws.sources.reshape(shape),
        documents=None if documents is None else documents.reshape(*shape, length + 1),
        trained=None if trained is None else trained.reshape(*shape, length),
    )


def has_marks(readers: Sequence[ShardReader], document_attention: bool) -> bool:
    """Whether training is to be told which labels carry loss: the same on every rank and at every step."""
    return document_attention or any(reader.has_untrained for reader in readers)
