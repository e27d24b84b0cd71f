"""Draws looked up in stretches: many at once cost a tenth of what few do."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from orchestrator.feed.slices import rank_numbers
from orchestrator.mixture.interleave import Ints
from orchestrator.mixture.plan import Plan
from orchestrator.shards.gathering import Gatherer, Places

_RANKS_KEPT = 64  # half a MiB each


class Drawn(NamedTuple):
    """(n,) source indices, (n,) positions within the source's epoch, and where these lie."""

    sources: Ints
    positions: Ints
    places: Places


class DrawsAhead:
    """What ranks draw at which steps. It keeps the last stretch of each of the first ranks that ask, so that their blocks in a row look up
    once; a worker that serves more than those looks up for the others what they ask for."""

    def __init__(self, plan: Plan, gatherer: Gatherer, *, at_once: int = 1 << 14) -> None:
        """
        Args:
            plan: of the run.
            gatherer: of the run's shards.
            at_once: how many draws of a rank are looked up together, at least.
        """
        self._plan, self._gatherer, self._at_once = plan, gatherer, at_once
        self._kept: dict[tuple[int, int], tuple[int, Sequence[Ints]]] = {}  # (rank, world size) -> its number, and it

    def at(self, steps: range, *, rank: int, world_size: int) -> Drawn:
        """A rank's draws.

        Args:
            steps: consecutive steps, counted from 0.
            rank: whose draws.
            world_size: ranks.

        Returns:
            (len(steps) * sequences a rank,) of each, in order.
        """
        if (rank, world_size) not in self._kept and len(self._kept) >= _RANKS_KEPT:
            return _drawn(self._look_up(steps, rank, world_size))
        each = self._plan.sequences_per_step // world_size
        size = -(-self._at_once // each)
        parts = []
        for number in range(steps.start // size, max(steps.start, steps.stop - 1) // size + 1):
            begin, end = max(steps.start, number * size), min(steps.stop, (number + 1) * size)
            here = slice((begin - number * size) * each, (end - number * size) * each)
            parts.append([values[here] for values in self._stretch(number, size, rank, world_size)])
        return _drawn(parts[0] if len(parts) == 1 else [np.concatenate(each) for each in zip(*parts, strict=True)])

    def _stretch(self, number: int, size: int, rank: int, world_size: int) -> Sequence[Ints]:
        """The number-th so many steps."""
        kept = self._kept.get((rank, world_size))
        if kept is None or kept[0] != number:
            steps = range(number * size, min((number + 1) * size, self._plan.steps))
            self._kept[rank, world_size] = kept = number, self._look_up(steps, rank, world_size)
        return kept[1]

    def _look_up(self, steps: range, rank: int, world_size: int) -> Sequence[Ints]:
        """Sources, positions, shards and starts."""
        per_step = self._plan.sequences_per_step
        numbers = rank_numbers(steps.start, len(steps), rank=rank, world_size=world_size, sequences_per_step=per_step)
        draws = self._plan.look_up(numbers.ravel())
        places = self._gatherer.places(draws.sources, draws.positions, self._plan.sequence_length)
        return draws.sources, draws.positions, places.shards, places.starts


def _drawn(values: Sequence[Ints]) -> Drawn:
    sources, positions, shards, starts = values
    return Drawn(sources, positions, Places(shards, starts))
