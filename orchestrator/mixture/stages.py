"""Stages: stretches of steps with ratios of their own, constant or changing along a line, and what each source is due in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from orchestrator.mixture.interleave import UNIT, Ints


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A stretch of steps.

    Attributes:
        steps: its updates as planned; the ratios of a ramp are spread over them.
        made_steps: how many of them the run makes; fewer when an amendment begins inside the stage.
        shares: (num_sources,) of the sequences at its start; they sum to 1.
        end_shares: (num_sources,) at its end; the same for a stage with constant ratios.
        exact: (num_sources,) the count that a source comes out with, where it was asked for as tokens or epochs.
    """

    steps: int
    made_steps: int
    shares: tuple[Fraction, ...]
    end_shares: tuple[Fraction, ...]
    exact: tuple[int | None, ...]

    def due(self, start: int, end: int, num_sequences: int) -> list[int]:
        """What each source is due between two of the stage's sequences: the integral of its share.

        Args:
            start, end: sequences of the stage, from 0.
            num_sequences: those of the whole stage as planned.

        Returns:
            One quota a source, in 1/UNIT sequences.
        """
        sources = range(len(self.shares))
        return [self._quota(source, end, num_sequences) - self._quota(source, start, num_sequences) for source in sources]

    def _quota(self, source: int, first: int, num_sequences: int) -> int:
        """Of the first n of N sequences: a n + (b - a) n^2 / 2 N for a share that goes from a to b."""
        start, end = self.shares[source], self.end_shares[source]
        level = first * UNIT * start.numerator // start.denominator
        if start == end:
            return level
        change = end - start
        return level + first * first * UNIT * change.numerator // (2 * num_sequences * change.denominator)

    def num_spans(self, num_sequences: int) -> int:
        """In how many spans of constant rates a ramp is made, so that none strays from the line by more than an eighth of a sequence."""
        steepest = max(abs(change) for change in _changes(self))
        return min(num_sequences, isqrt(int(num_sequences * steepest)) + 1) if steepest else 1


def due_before(stages: Sequence[Stage], numbers: Ints, sequences_per_step: int) -> NDArray[np.float64]:
    """What each source is due of the run's first sequences, by the shares of its stages.

    Args:
        stages: of the run, in order.
        numbers: (n,) prefix lengths in sequences.
        sequences_per_step: sequences of one update.

    Returns:
        (n, num_sources) sequences, fractions of them included.
    """
    due = np.zeros((len(numbers), len(stages[0].shares)))
    start = 0
    for stage in stages:
        planned, made = stage.steps * sequences_per_step, stage.made_steps * sequences_per_step
        first = np.clip(numbers - start, 0, made)[:, None].astype(np.float64)
        level, change = (np.array([float(share) for share in shares]) for shares in (stage.shares, _changes(stage)))
        due += level * first + change * first * first / (2 * planned)
        start += made
    return due


def _changes(stage: Stage) -> tuple[Fraction, ...]:
    return tuple(end - start for start, end in zip(stage.shares, stage.end_shares, strict=True))
