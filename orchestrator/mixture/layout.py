"""A stage as spans of constant rates: where each ends, and what every source wants of it, debts from before repaid."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from orchestrator.mixture.apportion import levelled
from orchestrator.mixture.interleave import UNIT, Shape, Tree, build_tree, counts_before, dealing_shape, totals_of
from orchestrator.mixture.stages import Due, Stage

_SPEC_SLACK = UNIT // 4  # so far may the spec be from its due where sources that are not in a stage owe, or are owed, something


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A stretch of one stage: `length` sequences are dealt, of which the run makes the first `made`."""

    shape: Shape
    quotas: Sequence[int]
    wants: Sequence[int]
    down: Collection[int]
    length: int
    made: int

    def tree(self) -> Tree:
        return build_tree(self.shape, self.quotas, self.wants, self.length, down=self.down)

    def counts(self) -> list[int]:
        """(num_sources,) sequences that the run makes of each source in it."""
        if self.made < self.length:
            return [int(count) for count in counts_before(self.tree(), np.array([self.made]), len(self.quotas))[0]]
        totals = totals_of(self.tree())
        return [totals.get(source, 0) for source in range(len(self.quotas))]


class StageLayout:
    """The spans of one stage. Any of them follows from what each source has had of the stage before it, and from nothing else.

    An account is kept in 1/UNIT sequences: what every source has been due so far less what it has had. All of it together is nothing.
    """

    def __init__(self, stage: Stage, *, is_spec: Sequence[bool], sequences_per_step: int, owed: Sequence[int]) -> None:
        """
        Args:
            stage: the stage.
            is_spec: (num_sources,) which sources are the spec's.
            sequences_per_step: sequences of one update.
            owed: (num_sources,) the account at its beginning.
        """
        self._length, self._made = stage.steps * sequences_per_step, stage.made_steps * sequences_per_step
        num_spans = stage.num_spans(self._length)
        planned = [self._length * index // num_spans for index in range(num_spans + 1)]
        self._planned = [(start, end) for start, end in pairwise(planned) if start < self._made]
        self._due = lru_cache(2)(Due(stage, self._length).before)  # a span begins where the one before ended
        weights = self._due(self._length)
        self._sides = [[source for source, weight in enumerate(weights) if weight and is_spec[source] == side] for side in (True, False)]
        self._shape = dealing_shape(*({source: weights[source] for source in side} for side in self._sides))
        self._rated = frozenset(source for source, count in enumerate(stage.exact) if count is None)
        self._room = self._length - sum(count or 0 for count in stage.exact)
        self._owed = owed
        # An exact count is exact whatever was before: what its source is owed waits for a stage that asks for no count of it.
        self._repaid = [0 if count is not None else due for due, count in zip(owed, stage.exact, strict=True)]
        self._spec = [source for source, spec in enumerate(is_spec) if spec]

    @property
    def ends(self) -> list[int]:
        """(num_spans,) the sequences of the stage that the run has made at the end of each span."""
        return [min(end, self._made) for _, end in self._planned]

    def counts(self) -> Iterator[list[int]]:
        """(num_sources,) what each source has had of the stage at the end of each span."""
        had = [0] * len(self._owed)
        for index in range(len(self._planned)):
            had = [before + new for before, new in zip(had, self.span(index, had).counts(), strict=True)]
            yield had

    def span(self, index: int, had: Sequence[int]) -> Span:
        """
        Args:
            index: of the span within the stage.
            had: (num_sources,) what each source has had of the stage before it.
        """
        start, end = self._planned[index]
        quotas = _less(self._due(end), self._due(start))
        levels = [repaid + due - count * UNIT for repaid, due, count in zip(self._repaid, self._due(end), had, strict=True)]
        wants, down = self._wants(levels, room=self._room - sum(had[source] for source in self._rated), length=end - start)
        return Span(shape=self._shape, quotas=quotas, wants=wants, down=down, length=end - start, made=min(end, self._made) - start)

    def owed_after(self, had: Sequence[int]) -> list[int]:
        """
        Args:
            had: (num_sources,) what each source has had of the whole stage.

        Returns:
            (num_sources,) the account at its end.
        """
        return [owed + due - count * UNIT for owed, due, count in zip(self._owed, self._due(self._made), had, strict=True)]

    def _wants(self, levels: Sequence[int], *, room: int, length: int) -> tuple[list[int], Collection[int]]:
        """What each source is to come to in a span.

        Args:
            levels: (num_sources,) what each is owed with the span's quota.
            room: what sources without a count may take together before the stage's end, so that the counts are met.
            length: of the span.

        Returns:
            (num_sources,) wants in 1/UNIT sequences, and the sources whose want is to be rounded down.
        """
        rated, counted = (
            [{source: levels[source] for source in side if (source in self._rated) == is_rated} for side in self._sides]
            for is_rated in (True, False)
        )
        spec_given, given = (_levelled(side, max(0, sum(side.values()))) for side in counted)
        rest = max(0, length * UNIT - sum(spec_given.values()) - sum(given.values()))
        spec_rest = rest if rated[0] else 0
        if rated[0] and rated[1]:
            due = sum(levels[source] + self._owed[source] - self._repaid[source] for source in self._spec)
            spec_rest = _spec_part(rated, rest, due - sum(spec_given.values()))
        free, fixed = _levelled(rated[0], spec_rest) | _levelled(rated[1], rest - spec_rest), spec_given | given
        down = _over(free, room) if any(want % UNIT for want in fixed.values()) else ()
        return [free.get(source, fixed.get(source, 0)) for source in range(len(levels))], down


def _spec_part(rated: Sequence[Mapping[int, int]], rest: int, spec_due: int) -> int:
    """Of what is left to sources without a count, that of the spec's: what leaves all equally owed, near to what the spec is due."""
    level = _levelled({**rated[0], **rated[1]}, rest)
    equal = sum(level[source] for source in rated[0])
    return min(max(equal, spec_due - _SPEC_SLACK, 0), max(spec_due + _SPEC_SLACK, 0), rest)


def _levelled(levels: Mapping[int, int], total: int) -> dict[int, int]:
    return dict(zip(levels, levelled(list(levels.values()), total), strict=True)) if levels else {}


def _over(wants: Mapping[int, int], room: int) -> Collection[int]:
    """Those with the smallest remainders, so many that all others rounded up fit into the room with them."""
    remainders = {source: want % UNIT for source, want in wants.items() if want % UNIT}
    up = room - sum(want // UNIT for want in wants.values())
    return frozenset(sorted(remainders, key=lambda source: -remainders[source])[max(up, 0) :])


def _less(values: Sequence[int], others: Sequence[int]) -> list[int]:
    return [value - other for value, other in zip(values, others, strict=True)]
