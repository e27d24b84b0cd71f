"""A rank's batches, step by step, with the blocks ahead already asked for."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import ray
from numpy.typing import NDArray

from orchestrator.errors import OrchestratorError
from orchestrator.feed.block import Block
from orchestrator.feed.worker import FeedWorker
from orchestrator.shards.reader import Tokens


@dataclass(frozen=True, slots=True)
class Batch:
    """What a rank trains at one step.

    Attributes:
        step: counted from 0.
        first_sequence: the sequence number of its first row; the others follow.
        tokens: (sequences_per_rank, sequence_length + 1) token ids, read-only.
        sources: (sequences_per_rank,) source indices.
        documents: (sequences_per_rank, sequence_length + 1) which document of its sequence each token belongs to; see `Block`.
        trained: (sequences_per_rank, sequence_length) which labels carry loss; see `Block`.
        wait_seconds: how long the rank waited for it.
    """

    step: int
    first_sequence: int
    tokens: Tokens
    sources: NDArray[np.int64]
    documents: NDArray[np.int32] | None
    trained: NDArray[np.bool_] | None
    wait_seconds: float


def load_batches(
    workers: Sequence[FeedWorker], steps: range, *, steps_per_block: int, prefetch_blocks: int, rank_of: tuple[int, int]
) -> Iterator[Batch]:
    """The batches of a span of steps, in order.

    Args:
        workers: the data-mixing workers; block by block they take turns, each rank beginning with another.
        steps: consecutive steps, counted from 0. Any start costs the same.
        steps_per_block: steps in a block.
        prefetch_blocks: blocks asked for ahead of the one in use.
        rank_of: (rank, world size).

    Yields:
        A batch a step.

    Raises:
        OrchestratorError: what a worker raised.
    """
    rank, world_size = rank_of
    starts = iter(range(steps.start, steps.stop, steps_per_block))
    asked: deque[ray.ObjectRef] = deque()

    def ask() -> None:
        if (start := next(starts, None)) is not None:
            worker = workers[(start // steps_per_block + rank) % len(workers)]
            asked.append(worker.actor.block.remote(start, min(steps_per_block, steps.stop - start), rank, world_size))

    for _ in range(prefetch_blocks):
        ask()
    while True:
        ask()
        if not asked:
            return
        began = time.perf_counter()
        block = _block(asked.popleft())
        waited = time.perf_counter() - began
        for offset in range(len(block.tokens)):
            yield _batch(block, offset, rank_of, waited if offset == 0 else 0.0)


def _batch(block: Block, offset: int, rank_of: tuple[int, int], wait_seconds: float) -> Batch:
    (rank, world_size), step, each = rank_of, block.first_step + offset, len(block.tokens[offset])
    return Batch(
        step=step,
        first_sequence=(step * world_size + rank) * each,
        tokens=block.tokens[offset],
        sources=block.sources[offset],
        documents=None if block.documents is None else block.documents[offset],
        trained=None if block.trained is None else block.trained[offset],
        wait_seconds=wait_seconds,
    )


def _block(asked: ray.ObjectRef) -> Block:
    try:
        block: Block = ray.get(asked)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, OrchestratorError):
            raise error.cause from None
        raise
    return block
