"""The stream of a run as spans of constant rates: where each begins, how many draws each source had by then, how its items are dealt."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache

import numpy as np

from orchestrator.mixture.interleave import Ints, Tree, counts_before, item_of, sources_of
from orchestrator.mixture.layout import StageLayout
from orchestrator.mixture.stages import Stage

_TREES_KEPT = 4096


class Spans:
    """All spans of a run. Pure: the same stages give the same spans, and a stage that is added at the end changes none before.

    Attributes:
        counts: (num_spans + 1, num_sources) what each source has had before every span, and at the end. The dealing of a span follows
            from its row alone, so who has these counts need not lay the spans out one after the other.
    """

    counts: Ints

    def __init__(self, stages: Sequence[Stage], *, is_spec: Sequence[bool], sequences_per_step: int, counts: Ints | None = None) -> None:
        """
        Args:
            stages: in order; shares of each for all sources.
            is_spec: (num_sources,) which sources are the spec's.
            sequences_per_step: sequences of one update.
            counts: the attribute, where it is known of the same stages.

        Raises:
            ValueError: the counts do not add up to the spans of these stages.
        """
        self._num_sources = len(is_spec)
        self._layouts: list[StageLayout] = []
        self._firsts: list[int] = [0]  # each stage's first span, and the end
        rows, owed = [np.zeros((1, len(is_spec)), dtype=np.int64)], [0] * len(is_spec)
        for stage in stages:
            layout = StageLayout(stage, is_spec=is_spec, sequences_per_step=sequences_per_step, owed=owed)
            had = np.array(list(layout.counts()), dtype=np.int64) if counts is None else _had(counts, layout, self._firsts[-1])
            owed = layout.owed_after(had[-1].tolist())
            rows.append(rows[-1][-1] + had)
            self._layouts.append(layout)
            self._firsts.append(self._firsts[-1] + len(had))
        self.counts = np.concatenate(rows)
        self._starts = self.counts.sum(axis=1)
        self._tree = lru_cache(_TREES_KEPT)(self._build_tree)

    @cached_property
    def totals(self) -> list[int]:
        """(num_sources,) sequences of each source in the run."""
        return [int(count) for count in self.counts[-1]]

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
            sources[here], draws[here] = found, new + self.counts[index, found]
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
            counts[here] = counts_before(self._tree(index), numbers[here] - self._starts[index], self._num_sources) + self.counts[index]
        return counts

    def number_of(self, source: int, draw: int) -> int:
        """The sequence number at which a source has a draw: the inverse of `look_up`.

        Args:
            source: its index.
            draw: from 0 to its total less one.
        """
        index = int(np.searchsorted(self.counts[:, source], draw, side="right")) - 1
        item = item_of(self._tree(index), source, draw - int(self.counts[index, source]))
        assert item is not None
        return int(self._starts[index]) + item

    def _by_span(self, numbers: Ints) -> Iterator[tuple[int, Ints | slice]]:
        """Each span that numbers fall into, and which of them do."""
        if len(self._starts) == 2:
            yield 0, slice(None)
            return
        indices = np.clip(np.searchsorted(self._starts, numbers, side="right") - 1, 0, len(self._starts) - 2)
        order = np.argsort(indices, kind="stable")
        found, firsts = np.unique(indices[order], return_index=True)
        for index, here in zip(found, np.split(order, firsts)[1:], strict=True):
            yield int(index), here

    def _build_tree(self, index: int) -> Tree:
        stage = bisect_right(self._firsts, index) - 1
        first = self._firsts[stage]
        return self._layouts[stage].span(index - first, (self.counts[index] - self.counts[first]).tolist()).tree()


def _had(counts: Ints, layout: StageLayout, first: int) -> Ints:
    """(num_spans, num_sources) what each source has had of a stage at the end of each of its spans, by the counts of all spans."""
    had = counts[first + 1 : first + 1 + len(layout.ends)] - counts[first : first + 1]
    if had.sum(axis=1).tolist() != layout.ends:
        raise ValueError("the counts do not add up to the spans of these stages")
    return had
