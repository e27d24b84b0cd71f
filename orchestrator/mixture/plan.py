"""The plan: for each source its exact number of sequences, from which the whole order of training follows. This is `plan.json`."""

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from orchestrator.errors import ConfigError
from orchestrator.mixture.interleave import Ints, Tree, build_tree, counts_before, sources_of
from orchestrator.mixture.shuffle import shuffle_key, shuffled
from orchestrator.runs.durable import write_whole

_STEPS_AT_ONCE = 1 << 16


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedSource:
    """One source's part of a run.

    Attributes:
        name: the source's name in the configuration.
        role: `spec` or `general`.
        fingerprint: of the source's manifest; other content under the same name is another source.
        unique_sequences: whole sequences in one epoch of it.
        asked_share: the share of trained tokens that was asked for.
        sequences: how many of its sequences are trained, repeats counted.
    """

    name: str
    role: str
    fingerprint: str
    unique_sequences: int
    asked_share: float
    sequences: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is trained when: sequence number n of the run is trained at step n // sequences_per_step.

    Attributes:
        sequence_length: tokens trained in a sequence.
        sequences_per_step: sequences of one update, over all ranks.
        steps: updates of the run.
        seed: of every shuffle.
        sources: in the order of the configuration; their indices are the source ids of a batch.
    """

    sequence_length: int
    sequences_per_step: int
    steps: int
    seed: int
    sources: tuple[PlannedSource, ...]

    @property
    def num_sequences(self) -> int:
        return self.steps * self.sequences_per_step

    @property
    def tokens(self) -> int:
        return self.num_sequences * self.sequence_length

    @cached_property
    def tree(self) -> Tree:
        counts = list(enumerate(source.sequences for source in self.sources))
        spec = [pair for pair in counts if self.sources[pair[0]].role == "spec"]
        return build_tree(spec, [pair for pair in counts if pair not in spec])

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all that decides the order of training."""
        return xxhash.xxh3_128_hexdigest(json.dumps(asdict(self), sort_keys=True).encode())

    def look_up(self, numbers: Ints) -> "Draws":
        """What stands at the given sequence numbers.

        Args:
            numbers: (n,) sequence numbers, 0 to num_sequences - 1, in any order.

        Returns:
            The source, epoch and position of each.
        """
        sources, draws = sources_of(self.tree, numbers)
        epochs, positions = np.empty_like(draws), np.empty_like(draws)
        for index in np.unique(sources):
            source, here = self.sources[index], sources == index
            key = shuffle_key(self.seed, source.name)
            epochs[here], positions[here] = shuffled(draws[here], size=source.unique_sequences, key=key)
        return Draws(sources, epochs, positions)

    def sequences_before(self, steps: Ints) -> Ints:
        """How many sequences of each source the first steps train.

        Args:
            steps: (n,) numbers of steps, 0 to `self.steps`.

        Returns:
            (n, num_sources) counts.
        """
        return counts_before(self.tree, steps * self.sequences_per_step, len(self.sources))


@dataclass(frozen=True, slots=True)
class Draws:
    """Where sequences come from: (n,) source indices, (n,) epochs from 0, (n,) positions within the source's epoch."""

    sources: Ints
    epochs: Ints
    positions: Ints


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceSummary:
    """A row of the plan as people and scripts read it. Steps count from 1; a source that is never trained has neither first nor last."""

    name: str
    role: str
    unique_tokens: int
    trained_tokens: int
    sequences: int
    share: float
    asked_share: float
    epochs: float
    first_step: int | None
    last_step: int | None
    updates: int


def summarise(plan: Plan) -> dict[str, Any]:
    """The plan's figures, ready for JSON: the whole, and a `SourceSummary` for each source."""
    seen = _steps_seen(plan)
    rows = [asdict(_summarise_source(plan, i, *seen[i])) for i in range(len(plan.sources))]
    return {
        "sequence_length": plan.sequence_length,
        "sequences_per_step": plan.sequences_per_step,
        "steps": plan.steps,
        "tokens": plan.tokens,
        "sources": rows,
    }


def _summarise_source(plan: Plan, index: int, first: int | None, last: int | None, updates: int) -> SourceSummary:
    source = plan.sources[index]
    return SourceSummary(
        name=source.name,
        role=source.role,
        unique_tokens=source.unique_sequences * plan.sequence_length,
        trained_tokens=source.sequences * plan.sequence_length,
        sequences=source.sequences,
        share=source.sequences / plan.num_sequences,
        asked_share=source.asked_share,
        epochs=source.sequences / source.unique_sequences,
        first_step=first,
        last_step=last,
        updates=updates,
    )


def _steps_seen(plan: Plan) -> list[tuple[int | None, int | None, int]]:
    """For each source: the first and the last step that trains it, and how many do."""
    first: list[int | None] = [None] * len(plan.sources)
    last: list[int | None] = [None] * len(plan.sources)
    updates = np.zeros(len(plan.sources), dtype=np.int64)
    for start in range(0, plan.steps, _STEPS_AT_ONCE):
        bounds = np.arange(start, min(start + _STEPS_AT_ONCE, plan.steps) + 1, dtype=np.int64)
        has: NDArray[np.bool_] = np.diff(plan.sequences_before(bounds), axis=0) > 0
        updates += has.sum(axis=0)
        for i in np.flatnonzero(has.any(axis=0)):
            steps = np.flatnonzero(has[:, i]) + start + 1
            first[i] = int(steps[0]) if first[i] is None else first[i]
            last[i] = int(steps[-1])
    return [(first[i], last[i], int(updates[i])) for i in range(len(plan.sources))]


def write_plan(plan: Plan, path: Path) -> None:
    """Write `plan.json`: what `read_plan` needs, and the summary for people."""
    content = {"plan": asdict(plan), "fingerprint": plan.fingerprint, "summary": summarise(plan)}
    write_whole(path, json.dumps(content, indent=2).encode() + b"\n")


def read_plan(path: Path) -> Plan:
    """Read what `write_plan` wrote.

    Raises:
        ConfigError: it is missing or damaged.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        content, fingerprint = stored["plan"], stored["fingerprint"]
        plan = Plan(sources=tuple(PlannedSource(**source) for source in content.pop("sources")), **content)
        if plan.fingerprint != fingerprint:
            raise ValueError(f"its fingerprint is {fingerprint}, its content's {plan.fingerprint}")
        return plan
    except FileNotFoundError:
        raise ConfigError(f"{path.parent} is not a run: it has no plan.json. `midtrain train` makes one.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} is damaged ({type(error).__name__}: {error}). Restore it, or start a new run.") from None
