"""A block: what one rank trains over a span of steps, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.feed.slices import rank_numbers
from orchestrator.mixture.plan import Plan
from orchestrator.shards.reader import ShardReader, Tokens


@dataclass(frozen=True, slots=True)
class Block:
    """Batches of one rank for consecutive steps.

    Attributes:
        first_step: counted from 0.
        tokens: (num_steps, sequences_per_rank, sequence_length + 1) token ids, uint16 or uint32.
        sources: (num_steps, sequences_per_rank) source indices.
    """

    first_step: int
    tokens: Tokens
    sources: NDArray[np.int64]


def build_block(plan: Plan, readers: Sequence[ShardReader], *, steps: range, rank: int, world_size: int) -> Block:
    """Gather a block: a pure function of the plan and the shards.

    Args:
        plan: the run's.
        readers: one a source, in the plan's order.
        steps: consecutive steps, counted from 0.
        rank: whose batches.
        world_size: ranks.

    Returns:
        The block.
    """
    numbers = rank_numbers(steps.start, len(steps), rank=rank, world_size=world_size, sequences_per_step=plan.sequences_per_step)
    draws = plan.look_up(numbers.ravel())
    dtype = np.result_type(*(reader.dtype for reader in readers))
    tokens = np.empty((numbers.size, plan.sequence_length + 1), dtype=dtype)
    for index in np.unique(draws.sources):
        here = draws.sources == index
        tokens[here] = readers[index].gather(draws.positions[here], plan.sequence_length)
    return Block(steps.start, tokens.reshape(*numbers.shape, plan.sequence_length + 1), draws.sources.reshape(numbers.shape))
