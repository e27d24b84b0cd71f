"""Steps, one after the other."""

import time
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass

import numpy as np
import torch

from orchestrator.feed.loader import Batch
from orchestrator.training.data_checksum import data_checksum
from orchestrator.training.documents import position_ids
from orchestrator.training.engine import Engine
from orchestrator.training.guard import SpikeGuard
from orchestrator.training.losses import IntervalSums


@dataclass(frozen=True, slots=True)
class StepDone:
    """A step that is over.

    Attributes:
        step: counted from 1.
        learning_rate: its own.
        seconds: how long it took, the wait for data included.
        is_refused: whether its update was not made, because a gradient was not finite or the guard took it for a spike.
    """

    step: int
    learning_rate: float
    seconds: float
    is_refused: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """What decides the steps, beside their batches.

    Attributes:
        learning_rate: of each step, counted from 1.
        skipped: steps, counted from 1, that train nothing.
        guard: which updates are not to be made; none: those alone whose gradient is not finite.
    """

    learning_rate: Callable[[int], float]
    skipped: Set[int] = frozenset()
    guard: SpikeGuard | None = None


def train_steps(engine: Engine, batches: Iterable[Batch], course: Course, sums: IntervalSums) -> Iterator[StepDone]:
    """Make an update of each batch.

    Args:
        engine: the model.
        batches: of this rank, in order.
        course: what else decides them.
        sums: where losses are counted.

    Yields:
        Each step, once it is over.
    """
    for batch in batches:
        began = time.perf_counter()
        step = batch.step + 1
        rate = course.learning_rate(step)
        is_refused = step not in course.skipped and not _train(engine, batch, rate, course.guard, sums)
        sums.add_wait(batch.wait_seconds)
        yield StepDone(step, rate, time.perf_counter() - began + batch.wait_seconds, is_refused)


def _train(engine: Engine, batch: Batch, rate: float, guard: SpikeGuard | None, sums: IntervalSums) -> bool:
    """Make the update of a batch; whether it was made."""
    tokens = torch.from_numpy(batch.tokens.astype(np.int64)).to(engine.device)
    sources = torch.from_numpy(batch.sources.copy()).to(engine.device)
    positions = None if batch.documents is None else position_ids(torch.from_numpy(batch.documents.copy()).to(engine.device))
    trained = None if batch.trained is None else torch.from_numpy(batch.trained.copy()).to(engine.device)
    for losses, part in engine.step(batch.step, tokens, rate, positions=positions, trained=trained, guard=guard):
        sums.add(losses, sources[part], None if trained is None else trained[part])
    sums.add_data(data_checksum(batch.first_sequence, batch.tokens))
    sums.end_step(was_made=engine.was_made)
    return engine.was_made
