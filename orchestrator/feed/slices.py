"""Which sequence numbers a rank trains at which step. Ranks only slice the one global order (law 1)."""

import numpy as np
from numpy.typing import NDArray


def rank_numbers(first_step: int, num_steps: int, *, rank: int, world_size: int, sequences_per_step: int) -> NDArray[np.int64]:
    """The sequence numbers of a rank over a span of steps.

    Args:
        first_step: counted from 0.
        num_steps: length of the span.
        rank: whose numbers.
        world_size: ranks; it divides `sequences_per_step`.
        sequences_per_step: sequences of one update, over all ranks.

    Returns:
        (num_steps, sequences_per_step // world_size) sequence numbers; over all ranks each number of the span once.
    """
    each = sequences_per_step // world_size
    steps = np.arange(first_step, first_step + num_steps, dtype=np.int64)
    return steps[:, None] * sequences_per_step + rank * each + np.arange(each, dtype=np.int64)


def steps_per_block(block_bytes: int, *, sequence_bytes: int, sequences_per_rank: int) -> int:
    """How many steps of one rank make a block of about the wanted size; at least one."""
    return max(1, block_bytes // (sequence_bytes * sequences_per_rank))
