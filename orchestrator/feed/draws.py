"""Draws looked up in stretches: many at once cost a tenth of what few do."""

from functools import lru_cache

import numpy as np

from orchestrator.feed.slices import rank_numbers
from orchestrator.mixture.plan import Draws, Plan

_STRETCHES_KEPT = 64


class DrawsAhead:
    """What ranks draw at which steps. It keeps the last stretches, so that blocks in a row look up once."""

    def __init__(self, plan: Plan, *, at_once: int = 1 << 14) -> None:
        """
        Args:
            plan: of the run.
            at_once: how many draws of a rank are looked up together, at least.
        """
        self._at_once = at_once
        self.plan = plan
        self._stretch = lru_cache(_STRETCHES_KEPT)(self._look_up)

    def at(self, steps: range, *, rank: int, world_size: int) -> Draws:
        """A rank's draws.

        Args:
            steps: consecutive steps, counted from 0.
            rank: whose draws.
            world_size: ranks.

        Returns:
            (len(steps) * sequences a rank,) of each, in order.
        """
        each = self.plan.sequences_per_step // world_size
        size = -(-self._at_once // each)
        parts = []
        for number in range(steps.start // size, max(steps.start, steps.stop - 1) // size + 1):
            begin, end = max(steps.start, number * size), min(steps.stop, (number + 1) * size)
            here = slice((begin - number * size) * each, (end - number * size) * each)
            draws = self._stretch(number, size, rank, world_size)
            parts.append(Draws(draws.sources[here], draws.epochs[here], draws.positions[here]))
        return parts[0] if len(parts) == 1 else Draws(*(np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS))

    def _look_up(self, number: int, size: int, rank: int, world_size: int) -> Draws:
        """The draws of the number-th so many steps."""
        start = number * size
        num_steps = min(size, self.plan.steps - start)
        numbers = rank_numbers(start, num_steps, rank=rank, world_size=world_size, sequences_per_step=self.plan.sequences_per_step)
        return self.plan.look_up(numbers.ravel())


_FIELDS = ("sources", "epochs", "positions")
