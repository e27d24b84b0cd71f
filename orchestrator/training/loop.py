"""Steps, one after the other."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from orchestrator.feed.loader import Batch
from orchestrator.training.documents import position_ids
from orchestrator.training.engine import Engine
from orchestrator.training.losses import IntervalSums


@dataclass(frozen=True, slots=True)
class StepDone:
    """An update that was made: its step counted from 1, its learning rate, and how long it took, the wait for data included."""

    step: int
    learning_rate: float
    seconds: float


def train_steps(engine: Engine, batches: Iterable[Batch], learning_rate: Callable[[int], float], sums: IntervalSums) -> Iterator[StepDone]:
    """Make an update of each batch.

    Args:
        engine: the model.
        batches: of this rank, in order.
        learning_rate: of each step, counted from 1.
        sums: where losses are counted.

    Yields:
        Each step, once it is made.
    """
    for batch in batches:
        began = time.perf_counter()
        rate = learning_rate(batch.step + 1)
        tokens = torch.from_numpy(batch.tokens.astype(np.int64)).to(engine.device)
        sources = torch.from_numpy(batch.sources.copy()).to(engine.device)
        positions = None if batch.documents is None else position_ids(torch.from_numpy(batch.documents.copy()).to(engine.device))
        trained = None if batch.trained is None else torch.from_numpy(batch.trained.copy()).to(engine.device)
        for losses, part in engine.step(batch.step, tokens, rate, positions=positions, trained=trained):
            sums.add(losses, sources[part], None if trained is None else trained[part])
        sums.add_wait(batch.wait_seconds)
        yield StepDone(batch.step + 1, rate, time.perf_counter() - began + batch.wait_seconds)
