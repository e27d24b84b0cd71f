"""The stream of a run as spans of constant rates: where each begins, how many draws each source had by then, how its items are dealt."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np

from orchestrator.mixture.apportion import whole_counts
from orchestrator.mixture.interleave import UNIT, Ints, Part, Tree, build_tree, counts_before, item_of, sources_of
from orchestrator.mixture.stages import Stage

_TREES_KEPT = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class _Span:
    """A stretch of one stage: `length` sequences are dealt, of which the run makes the first `made`."""

    spec: list[Part]
    others: list[Part]
    spec_owed: int
    length: int
    made: int

    def tree(self) -> Tree:
        return build_tree(self.spec, self.others, spec_owed=self.spec_owed)

    def counts(self, num_sources: int) -> list[int]:
        """(num_sources,) sequences that the run makes of each source in it."""
        if self.made < self.length:
            return [int(count) for count in counts_before(self.tree(), np.array([self.made]), num_sources)[0]]
        counts = {part.source: part.count for part in (*self.spec, *self.others)}
        return [counts.get(source, 0) for source in range(num_sources)]


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
        counts = np.empty((len(numbers), self._num_sources), dtype=np.int64)
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
        for index in np.unique(indices):
            yield int(index), np.flatnonzero(indices == index)


class _Account:
    """What every source, and the spec as a whole, has been due so far less what it has had, in 1/UNIT sequences."""

    def __init__(self, is_spec: Sequence[bool]) -> None:
        self._is_spec = is_spec
        self._owed = [0] * len(is_spec)
        self._spec_owed = 0

    def begin(self, stage: Stage) -> None:
        """An exact count is exact whatever was before."""
        self._owed = [owed if count is None else 0 for owed, count in zip(self._owed, stage.exact, strict=True)]

    def span(self, weights: Sequence[int], due: Sequence[int], exact: Mapping[int, int], *, length: int, made: int) -> _Span:
        """Settle what each source gets of a span.

        Args:
            weights: of the sources; those without are not in the stage.
            due: their quotas.
            exact: the counts that some must come out with.
            length, made: of the span.
        """
        members = [source for source, weight in enumerate(weights) if weight > 0]
        sides = [[source for source in members if self._is_spec[source] == spec] for spec in (True, False)]
        spec_total = self._spec_total(sides, due, exact, length)
        spec, others = (
            [
                Part(source=source, weight=weights[source], quota=due[source], owed=self._owed[source], count=count)
                for source, count in self._counts(side, total, due, exact).items()
            ]
            for side, total in zip(sides, (spec_total, length - spec_total), strict=True)
        )
        return _Span(spec=spec, others=others, spec_owed=self._spec_owed, length=length, made=made)

    def _spec_total(self, sides: Sequence[Sequence[int]], due: Sequence[int], exact: Mapping[int, int], length: int) -> int:
        """The spec's sequences: rounded to the nearest, as far as exact counts allow."""
        spec, others = sides
        if not spec or not others:
            return length if spec else 0
        fewest, fewest_others = (sum(exact.get(source, 0) for source in side) for side in sides)
        if exact.keys() >= set(spec) or exact.keys() >= set(others):
            return fewest if exact.keys() >= set(spec) else length - fewest_others
        nearest = (self._spec_owed + sum(due[source] for source in spec) + UNIT // 2) // UNIT
        return min(max(nearest, fewest), length - fewest_others)

    def _counts(self, side: Sequence[int], total: int, due: Sequence[int], exact: Mapping[int, int]) -> dict[int, int]:
        rated = [source for source in side if source not in exact]
        given = {source: exact[source] for source in side if source in exact}
        counts = whole_counts(total - sum(given.values()), [self._owed[source] + due[source] for source in rated], UNIT)
        return given | dict(zip(rated, counts, strict=True))

    def book(self, due: Sequence[int], got: Sequence[int]) -> None:
        new = [quota - count * UNIT for quota, count in zip(due, got, strict=True)]
        self._owed = [owed + more for owed, more in zip(self._owed, new, strict=True)]
        self._spec_owed += sum(more for more, spec in zip(new, self._is_spec, strict=True) if spec)


def _lay_out(stages: Sequence[Stage], is_spec: Sequence[bool], sequences_per_step: int) -> Iterator[tuple[_Span, list[int]]]:
    """Each span, and what each source gets in it."""
    account = _Account(is_spec)
    for stage in stages:
        account.begin(stage)
        yield from _lay_out_stage(stage, account, stage.steps * sequences_per_step, stage.made_steps * sequences_per_step)


def _lay_out_stage(stage: Stage, account: _Account, length: int, made: int) -> Iterator[tuple[_Span, list[int]]]:
    num_spans, left = stage.num_spans(length), {source: count for source, count in enumerate(stage.exact) if count is not None}
    weights = stage.due(0, length, length)
    for start, end in pairwise(length * index // num_spans for index in range(num_spans + 1)):
        if start >= made:
            return
        reached = min(made, end)
        span = account.span(weights, stage.due(start, end, length), left if end == length else {}, length=end - start, made=reached - start)
        got = span.counts(len(weights))
        yield span, got
        account.book(stage.due(start, reached, length), got)
        left = {source: count - got[source] for source, count in left.items()}
