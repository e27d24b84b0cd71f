"""Ranks that are threads of this process, and what they save."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.checkpoints.commit import save_checkpoint
from orchestrator.checkpoints.ranks import Ranks
from orchestrator.checkpoints.state_file import RankState
from orchestrator.training.fragments import Span

_DEADLINE_SECONDS = 30


class Alone:
    """A world of one rank."""

    rank, world_size = 0, 1

    def barrier(self) -> None:
        pass

    def gather(self, value: Any) -> list[Any]:
        return [value]

    def broadcast(self, value: Any) -> Any:
        return value


class Threads:
    """A rank of several; a gang whose barrier a failing rank breaks, so that no other waits for it."""

    def __init__(self, rank: int, world_size: int, meeting: threading.Barrier, values: list[Any]) -> None:
        self.rank, self.world_size, self._meeting, self._values = rank, world_size, meeting, values

    def barrier(self) -> None:
        self._meeting.wait()

    def gather(self, value: Any) -> list[Any]:
        self._values[self.rank] = value
        self.barrier()
        everyones = list(self._values)
        self.barrier()
        return everyones

    def broadcast(self, value: Any) -> Any:
        return self.gather(value)[0]


def on_ranks(world_size: int, function: Callable[[Ranks], None]) -> None:
    """Run a function on every rank; what the first failing rank raised is raised here."""
    meeting = threading.Barrier(world_size, timeout=_DEADLINE_SECONDS)
    values: list[Any] = [None] * world_size
    causes: list[BaseException] = []

    def run(rank: int) -> None:
        try:
            function(Threads(rank, world_size, meeting, values))
        except threading.BrokenBarrierError:
            pass  # another rank failed
        except BaseException as error:
            causes.append(error)
            meeting.abort()

    with ThreadPoolExecutor(world_size) as pool:
        list(pool.map(run, range(world_size)))
    if causes:
        raise causes[0]


def state_of(rank: int = 0, world_size: int = 1, *, seed: int = 0, size: int = 600) -> RankState:
    """A rank's part of two parameters of `size` elements, with values that tell every element from every other."""
    whole = np.random.default_rng(seed).standard_normal((3, 2 * size), dtype=np.float32)
    first, last = size * rank // world_size, size * (rank + 1) // world_size
    spans = [Span(name, first, last - first) for name in ("embed.weight", "norm.weight")]
    parts = [whole[:, at + first : at + last] for at in (0, size)]
    return RankState(spans, np.concatenate(parts, axis=1))


def save(checkpoints: Path, step: int, state: RankState | None = None, *, ranks: Ranks | None = None, **facts: Any) -> None:
    """Save as a world of one rank, or as one of several."""
    ranks = ranks or Alone()
    state = state or state_of(ranks.rank, ranks.world_size)
    facts = {"world_size": ranks.world_size, "kind": "science"} | facts
    save_checkpoint(checkpoints, step, state, facts=facts, ranks=ranks, may_commit=lambda: True)
