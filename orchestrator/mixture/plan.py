"""The plan: sources and the stages that they are mixed in, from which the whole order of training follows."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from orchestrator.mixture.interleave import Ints
from orchestrator.mixture.shuffle import shuffle_key, shuffled, unshuffled
from orchestrator.mixture.spans import Spans
from orchestrator.mixture.stages import Stage, due_before
from orchestrator.mixture.subset import Subset, subset_places, subset_positions

ORDER = 1  # the number of the way from a plan to its order: raised when the same plan comes to another one


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedSource:
    """One source of a run.

    Attributes:
        name: the source's name in the configuration.
        role: `spec` or `general`.
        fingerprint: of the source's manifest; other content under the same name is another source.
        unique_sequences: whole sequences in all of it.
        trained_tokens: the tokens of all of it that carry a loss.
        subset: what the run uses of it; none: all.
    """

    name: str
    role: str
    fingerprint: str
    unique_sequences: int
    trained_tokens: int
    subset: Subset | None = None

    @property
    def epoch(self) -> Subset:
        """What the run passes over once an epoch."""
        return self.subset or Subset(sequences=self.unique_sequences, trained_tokens=self.trained_tokens)

    @property
    def tokens_per_sequence(self) -> Fraction:
        """The mean of an epoch's trained tokens."""
        return Fraction(self.epoch.trained_tokens, self.epoch.sequences)


@dataclass(frozen=True, kw_only=True, slots=True)
class Amendment:
    """A change of the plan from a step on.

    Attributes:
        from_step: the first step that it changes, counted from 1.
        replaced: the fingerprint of the plan before it.
        at: when it was made.
        changes: what was asked for, as `key=value`.
    """

    from_step: int
    replaced: str
    at: str
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Draws:
    """Where sequences come from: (n,) source indices, (n,) epochs from 0, (n,) positions within the whole source."""

    sources: Ints
    epochs: Ints
    positions: Ints


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is trained when: sequence number n of the run is trained at step n // sequences_per_step.

    Attributes:
        sequence_length: tokens trained in a sequence.
        sequences_per_step: sequences of one update, over all ranks.
        seed: of every shuffle.
        sources: in the order of the configuration, those of amendments after them; their indices are the source ids of a batch.
        stages: in order; each has a share for every source.
        request: a hash of what the configuration asks for; another one is another mixture.
        amendments: how the plan came to be what it is. The order of training follows from the fields above these two alone.
    """

    sequence_length: int
    sequences_per_step: int
    seed: int
    sources: tuple[PlannedSource, ...]
    stages: tuple[Stage, ...]
    request: str = ""
    amendments: tuple[Amendment, ...] = ()

    @property
    def steps(self) -> int:
        return sum(stage.made_steps for stage in self.stages)

    @property
    def num_sequences(self) -> int:
        return self.steps * self.sequences_per_step

    @property
    def tokens(self) -> int:
        return self.num_sequences * self.sequence_length

    @cached_property
    def spans(self) -> Spans:
        return self._lay_out()

    def use_counts(self, counts: Ints) -> None:
        """Lay out the spans by known counts, in place of computing these.

        Args:
            counts: (num_spans + 1, num_sources) the `spans.counts` of the same plan.

        Raises:
            ValueError: they do not add up to its spans.
        """
        vars(self)["spans"] = self._lay_out(counts)

    def _lay_out(self, counts: Ints | None = None) -> Spans:
        is_spec = [source.role == "spec" for source in self.sources]
        return Spans(self.stages, is_spec=is_spec, sequences_per_step=self.sequences_per_step, counts=counts)

    @property
    def sequences(self) -> list[int]:
        """(num_sources,) sequences of each source that the run trains, repeats counted."""
        return self.spans.totals

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all that decides the order of training."""
        content = plan_values(replace(self, request="", amendments=())) | {"order": ORDER}
        return xxhash.xxh3_128_hexdigest(json.dumps(content, sort_keys=True, default=str).encode())

    def fingerprints_at(self, step: int) -> set[str]:
        """The fingerprints of all plans that trained the same as this one up to and with a step: its own, and those that amendments with
        later steps replaced."""
        found = {self.fingerprint}
        for amendment in reversed(self.amendments):
            if amendment.from_step <= step:
                break
            found.add(amendment.replaced)
        return found

    def look_up(self, numbers: Ints) -> Draws:
        """What stands at the given sequence numbers.

        Args:
            numbers: (n,) sequence numbers, 0 to num_sequences - 1, in any order.

        Returns:
            The source, epoch and position of each.
        """
        sources, draws = self.spans.look_up(np.asarray(numbers, dtype=np.int64))
        epochs, positions = np.empty_like(draws), np.empty_like(draws)
        for index in np.flatnonzero(np.bincount(sources)).tolist():
            here = np.flatnonzero(sources == index)
            epochs[here], positions[here] = self._positions(index, draws[here])
        return Draws(sources, epochs, positions)

    def numbers_of(self, source: int, position: int) -> list[tuple[int, int]]:
        """When a sequence of a source is trained: the inverse of `look_up`.

        Args:
            source: its index.
            position: of the sequence within the whole source.

        Returns:
            The epoch and the sequence number of each time, in order; none for one that the run does not use.
        """
        if (place := self._place(source, position)) is None:
            return []
        size, total = self.sources[source].epoch.sequences, self.sequences[source]
        at, key = np.array([place], dtype=np.int64), self._key(source)
        draws = ((epoch, int(unshuffled(at, epoch=epoch, size=size, key=key)[0])) for epoch in range(-(-total // size)))
        return [(epoch, self.spans.number_of(source, draw)) for epoch, draw in draws if draw < total]

    def is_used(self, source: int, position: int) -> bool:
        """Whether a sequence of a source is in what the run uses of it.

        Args:
            source: its index.
            position: of the sequence within the whole source.
        """
        return self._place(source, position) is not None

    def sequences_before(self, steps: Ints | Sequence[int]) -> Ints:
        """How many sequences of each source the first steps train.

        Args:
            steps: (n,) numbers of steps, 0 to `self.steps`.

        Returns:
            (n, num_sources) counts.
        """
        return self.spans.counts_before(np.asarray(steps, dtype=np.int64) * self.sequences_per_step)

    def due_before(self, steps: Ints | Sequence[int]) -> NDArray[np.float64]:
        """What each source is due of the first steps, by the shares that were asked for.

        Args:
            steps: (n,) numbers of steps, 0 to `self.steps`.

        Returns:
            (n, num_sources) sequences, fractions of them included.
        """
        return due_before(self.stages, np.asarray(steps, dtype=np.int64) * self.sequences_per_step, self.sequences_per_step)

    def _positions(self, source: int, draws: Ints) -> tuple[Ints, Ints]:
        """(n,) epochs and (n,) positions of draws of a source."""
        planned = self.sources[source]
        epochs, places = shuffled(draws, size=planned.epoch.sequences, key=self._key(source))
        if planned.subset is None:
            return epochs, places
        return epochs, subset_positions(places, unique_sequences=planned.unique_sequences, source_name=planned.name)

    def _place(self, source: int, position: int) -> int | None:
        """Where a position of a source is in what an epoch shuffles; none if it is not there."""
        planned = self.sources[source]
        if planned.subset is None:
            return position
        at = np.array([position], dtype=np.int64)
        place = int(subset_places(at, unique_sequences=planned.unique_sequences, source_name=planned.name)[0])
        return place if place < planned.subset.sequences else None

    def _key(self, source: int) -> int:
        return shuffle_key(self.seed, self.sources[source].name)


def plan_values(plan: Plan) -> dict[str, Any]:
    """A plan's fields as nested values. A source that is used whole has no `subset`: neither had any before there were subsets, and their
    plans are the same."""
    values = asdict(plan)
    for source in values["sources"]:
        if source["subset"] is None:
            del source["subset"]
    return values
