"""The stream of a run as spans of constant rates: where each begins, how many draws each source had by then, how its items are dealt."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np

from orchestrator.mixture.apportion import levelled
from orchestrator.mixture.interleave import (
    UNIT,
    Ints,
    Shape,
    Tree,
    build_tree,
    counts_before,
    dealing_shape,
    item_of,
    sources_of,
    totals_of,
)
from orchestrator.mixture.stages import Due, Stage

_TREES_KEPT = 4096
_SPEC_SLACK = UNIT // 4  # so far may the spec be from its due where sources that are not in a stage owe, or are owed, something


@dataclass(frozen=True, kw_only=True, slots=True)
class _Span:
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


class Spans:
    """All spans of a run. Pure: the same stages give the same spans, and a stage that is added at the end changes none before."""

    def __init__(self, stages: Sequence[Stage], *, is_spec: Sequence[bool], sequences_per_step: int) -> None:
        """
        Args:
            stages: in order; shares of each for all sources.
            is_spec: (num_sources,) which sources are the spec's.
            sequences_per_step: sequences of one update.
        """
        self._num_sources = len(is_spec)
        self._spans: list[_Span] = []
        starts, counts = [0], [[0] * len(is_spec)]
        for span, got in _lay_out(stages, is_spec, sequences_per_step):
            self._spans.append(span)
            starts.append(starts[-1] + span.made)
            counts.append([before + new for before, new in zip(counts[-1], got, strict=True)])
        self._starts: Ints = np.array(starts, dtype=np.int64)
        self._counts: Ints = np.array(counts, dtype=np.int64)
        self._tree = lru_cache(_TREES_KEPT)(lambda index: self._spans[index].tree())

    @cached_property
    def totals(self) -> list[int]:
        """(num_sources,) sequences of each source in the run."""
        return [int(count) for count in self._counts[-1]]

    def look_up(self, numbers: Ints) -> tuple[Ints, Ints]:
        """What stands at sequence numbers of the run.

        Args:
            numbers: (n,) of them, from 0, in any order.

        Returns:
            (n,) source indices and (n,) draws, counted from 0 within the source over the whole run.
        """
        sources, draws = np.empty_like(numbers), np.empty_like(numbers)
        for index, here in self._by_span(numbers):
            found, new = sources_of(self._tree(index), numbers[here] - self._starts[index])
            sources[here], draws[here] = found, new + self._counts[index, found]
        return sources, draws

    def counts_before(self, numbers: Ints) -> Ints:
        """How many sequences of each source the run's first ones hold.

        Args:
            numbers: (n,) prefix lengths in sequences.

        Returns:
            (n, num_sources) counts.
        """
        counts = np.empty((self._num_sources, len(numbers)), dtype=np.int64).T  # a source's side by side, as they are computed
        for index, here in self._by_span(numbers):
            counts[here] = counts_before(self._tree(index), numbers[here] - self._starts[index], self._num_sources) + self._counts[index]
        return counts

    def number_of(self, source: int, draw: int) -> int:
        """The sequence number at which a source has a draw: the inverse of `look_up`.

        Args:
            source: its index.
            draw: from 0 to its total less one.
        """
        index = int(np.searchsorted(self._counts[:, source], draw, side="right")) - 1
        item = item_of(self._tree(index), source, draw - int(self._counts[index, source]))
        assert item is not None
        return int(self._starts[index]) + item

    def _by_span(self, numbers: Ints) -> Iterator[tuple[int, Ints | slice]]:
        """Each span that numbers fall into, and which of them do."""
        if len(self._spans) == 1:
            yield 0, slice(None)
            return
        indices = np.clip(np.searchsorted(self._starts, numbers, side="right") - 1, 0, len(self._spans) - 1)
        order = np.argsort(indices, kind="stable")
        found, firsts = np.unique(indices[order], return_index=True)
        for index, here in zip(found, np.split(order, firsts)[1:], strict=True):
            yield int(index), here


class _Account:
    """What every source has been due so far less what it has had, in 1/UNIT sequences. All of it together is nothing."""

    def __init__(self, is_spec: Sequence[bool]) -> None:
        self._sides = [[source for source, spec in enumerate(is_spec) if spec == side] for side in (True, False)]
        self._owed = [0] * len(is_spec)
        self._aside = [0] * len(is_spec)
        self._exact: set[int] = set()

    def shape(self, weights: Sequence[int]) -> Shape:
        """Who deals to whom in a stage; sources without a weight are not in it."""
        spec, others = ({source: weights[source] for source in side if weights[source]} for side in self._sides)
        return dealing_shape(spec, others)

    def begin(self, stage: Stage) -> None:
        """An exact count is exact whatever was before: what its source is owed waits for a stage that asks for no count of it."""
        everything = [owed + aside for owed, aside in zip(self._owed, self._aside, strict=True)]
        self._exact = {source for source, count in enumerate(stage.exact) if count is not None}
        self._aside = [owed if source in self._exact else 0 for source, owed in enumerate(everything)]
        self._owed = _less(everything, self._aside)

    def wants(self, due: Sequence[int], members: Collection[int], *, room: int, length: int) -> tuple[list[int], Collection[int]]:
        """What each source is to come to in a span.

        Args:
            due: (num_sources,) quotas.
            members: the sources of the stage.
            room: what sources without a count may take together before the stage's end, so that the counts are met.
            length: of the span.

        Returns:
            (num_sources,) wants in 1/UNIT sequences, and the sources whose want is to be rounded down.
        """
        sides = [[source for source in side if source in members] for side in self._sides]
        levels = [{source: self._owed[source] + due[source] for source in side} for side in sides]
        counted, rated = (
            [{source: side[source] for source in side if (source in self._exact) == exact} for side in levels] for exact in (True, False)
        )
        spec_given, given = (_levelled(side, max(0, sum(side.values()))) for side in counted)
        rest = max(0, length * UNIT - sum(spec_given.values()) - sum(given.values()))
        spec_rest = rest if rated[0] else 0
        if rated[0] and rated[1]:
            spec_rest = self._spec_part(rated, due, rest, already=sum(spec_given.values()))
        free, fixed = _levelled(rated[0], spec_rest) | _levelled(rated[1], rest - spec_rest), spec_given | given
        down = _over(free, room) if any(want % UNIT for want in fixed.values()) else ()
        return [free.get(source, fixed.get(source, 0)) for source in range(len(due))], down

    def _spec_part(self, levels: Sequence[Mapping[int, int]], due: Sequence[int], rest: int, *, already: int) -> int:
        """Of what is left to sources without a count, that of the spec's: what leaves all equally owed, near to what the spec is due."""
        level = _levelled({**levels[0], **levels[1]}, rest)
        spec_due = sum(due[source] + self._owed[source] + self._aside[source] for source in self._sides[0]) - already
        equal = sum(level[source] for source in levels[0])
        return min(max(equal, spec_due - _SPEC_SLACK, 0), max(spec_due + _SPEC_SLACK, 0), rest)

    def book(self, due: Sequence[int], got: Sequence[int]) -> None:
        """Enter a span."""
        self._owed = [owed + quota - count * UNIT for owed, quota, count in zip(self._owed, due, got, strict=True)]


def _levelled(levels: Mapping[int, int], total: int) -> dict[int, int]:
    return dict(zip(levels, levelled(list(levels.values()), total), strict=True)) if levels else {}


def _over(wants: Mapping[int, int], room: int) -> Collection[int]:
    """Those with the smallest remainders, so many that all others rounded up fit into the room with them."""
    remainders = {source: want % UNIT for source, want in wants.items() if want % UNIT}
    up = room - sum(want // UNIT for want in wants.values())
    return frozenset(sorted(remainders, key=lambda source: -remainders[source])[max(up, 0) :])


def _lay_out(stages: Sequence[Stage], is_spec: Sequence[bool], sequences_per_step: int) -> Iterator[tuple[_Span, list[int]]]:
    """Each span, and what each source gets in it."""
    account = _Account(is_spec)
    for stage in stages:
        account.begin(stage)
        yield from _lay_out_stage(stage, account, stage.steps * sequences_per_step, stage.made_steps * sequences_per_step)


def _lay_out_stage(stage: Stage, account: _Account, length: int, made: int) -> Iterator[tuple[_Span, list[int]]]:
    num_spans, due = stage.num_spans(length), Due(stage, length)
    room = length - sum(count or 0 for count in stage.exact)
    weights, before = due.before(length), due.before(0)
    shape, members = account.shape(weights), {source for source, weight in enumerate(weights) if weight}
    for start, end in pairwise(length * index // num_spans for index in range(num_spans + 1)):
        if start >= made:
            return
        reached, after = min(made, end), due.before(end)
        quotas = _less(after, before)
        wants, down = account.wants(quotas, members, room=room, length=end - start)
        span = _Span(shape=shape, quotas=quotas, wants=wants, down=down, length=end - start, made=reached - start)
        got = span.counts()
        yield span, got
        account.book(quotas if reached == end else _less(due.before(reached), before), got)
        room -= sum(new for new, count in zip(got, stage.exact, strict=True) if count is None)
        before = after


def _less(values: Sequence[int], others: Sequence[int]) -> list[int]:
    return [value - other for value, other in zip(values, others, strict=True)]
