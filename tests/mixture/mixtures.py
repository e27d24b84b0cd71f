"""Mixtures to draw examples from, and plans straight from counts, without the checks of planning."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from orchestrator.mixture.apportion import exact
from orchestrator.mixture.interleave import Ints
from orchestrator.mixture.plan import Plan, PlannedSource
from orchestrator.mixture.planning import make_plan
from orchestrator.mixture.stages import Stage
from orchestrator.mixture.wishes import Ratios, StageWish, Supply

LAW = settings(deadline=None, max_examples=40)
HUFFMAN_DRIFT = 1.68  # sequences: half the sum of the reciprocals of the Fibonacci numbers
PLENTY = 1 << 50  # sequences of a source that never runs out


def fibonacci(count: int) -> list[float]:
    """Weights that make the deepest dealing tree."""
    weights = [1.0, 1.0]
    while len(weights) < count:
        weights.append(weights[-1] + weights[-2])
    return weights[:count]


def weights(count: int) -> st.SearchStrategy[list[float]]:
    """Ratios of sources to each other: down to a millionth, and the shapes that trees and rounding like least."""
    shapes = [fibonacci(count), [1.0] * count, [1e6] + [1.0] * (count - 1), [2.0 ** min(i, 20) for i in range(count)]]
    any_ratios = st.lists(st.floats(-6, 0).map(lambda power: 10**power), min_size=count, max_size=count)
    small_whole = st.lists(st.integers(1, 9).map(float), min_size=count, max_size=count)
    return st.one_of(any_ratios, small_whole, *(st.permutations(shape) for shape in shapes))


@st.composite
def roles(draw: st.DrawFn, count: int) -> list[str]:
    """Roles with none to all of the sources being spec."""
    spec = draw(st.integers(0, min(4, count)))
    return draw(st.permutations(["spec"] * spec + ["general"] * (count - spec)))


@st.composite
def shares(draw: st.DrawFn, most: int = 40) -> tuple[list[Fraction], list[str]]:
    """Exact shares that sum to 1, and roles."""
    count = draw(st.integers(1, most))
    parts = [exact(weight) for weight in draw(weights(count))]
    return [part / sum(parts) for part in parts], draw(roles(count))


@st.composite
def plans(draw: st.DrawFn, most_sources: int = 40, most_steps: int = 60) -> Plan:
    """Small plans, with sources of no sequence and of many epochs among them."""
    parts, kinds = draw(shares(most_sources))
    steps, each = draw(st.integers(1, most_steps)), draw(st.integers(1, 12))
    sizes = draw(st.lists(st.integers(1, 50), min_size=len(parts), max_size=len(parts)))
    plan = plan_of(counts_of(steps * each, parts), roles=kinds, sizes=sizes, each=each, seed=draw(st.integers(0, 1 << 63)))
    assert plan.steps == steps
    return plan


@st.composite
def staged_plans(draw: st.DrawFn, most_sources: int = 40, most_sequences: int = 900) -> Plan:
    """Plans of one to four stages, constant or ramps, in which some sources have exact counts."""
    count = draw(st.integers(2, most_sources))
    kinds, each = draw(roles(count)), draw(st.integers(1, 12))
    stages = [draw(stages_of(count, each, most_sequences)) for _ in range(draw(st.integers(1, 4)))]
    sources = tuple(
        PlannedSource(name=f"s{i}", role=role, fingerprint=f"f{i}", unique_sequences=size, trained_tokens=8 * size)
        for i, (role, size) in enumerate(zip(kinds, draw(st.lists(st.integers(1, 50), min_size=count, max_size=count)), strict=True))
    )
    return Plan(sequence_length=8, sequences_per_step=each, seed=draw(st.integers(0, 1 << 63)), sources=sources, stages=tuple(stages))


@st.composite
def stages_of(draw: st.DrawFn, count: int, each: int, most_sequences: int) -> Stage:
    """A stage of so many sources."""
    steps = draw(st.integers(1, max(1, most_sequences // each)))
    start, end = ([exact(weight) for weight in draw(weights(count))] for _ in range(2))
    if draw(st.booleans()):
        end = start
    counted = draw(st.sets(st.integers(0, count - 1), max_size=count - 1)) if draw(st.booleans()) else set()
    num_sequences = steps * each
    counts = {i: int(num_sequences * start[i] / sum(start)) for i in counted}
    free = Fraction(num_sequences - sum(counts.values()), num_sequences)

    def shares_at(parts: list[Fraction]) -> tuple[Fraction, ...]:
        rated = sum(part for i, part in enumerate(parts) if i not in counts)
        return tuple(Fraction(counts[i], num_sequences) if i in counts else free * part / rated for i, part in enumerate(parts))

    given = tuple(counts.get(i) for i in range(count))
    return Stage(steps=steps, made_steps=steps, shares=shares_at(start), end_shares=shares_at(end), exact=given)


def counts_of(total: int, shares: Sequence[Fraction]) -> list[int]:
    """A whole split in proportion to shares, by largest remainders."""
    quotas = [total * share / sum(shares) for share in shares]
    counts = [int(quota) for quota in quotas]
    for i in sorted(range(len(quotas)), key=lambda i: counts[i] - quotas[i])[: total - sum(counts)]:
        counts[i] += 1
    return counts


def plan_of(counts: Sequence[int], *, roles: Sequence[str] = (), sizes: Sequence[int] = (), each: int = 1, seed: int = 0) -> Plan:
    """A plan of sources s0, s1, … with the given numbers of sequences.

    Args:
        counts: sequences of each source.
        roles: of each; none given: all general.
        sizes: unique sequences of each; none given: more than enough.
        each: sequences of a step.
        seed: of the shuffles.
    """
    sources = tuple(
        PlannedSource(name=f"s{i}", role=role, fingerprint=f"f{i}", unique_sequences=size, trained_tokens=8 * size)
        for i, (role, size) in enumerate(zip(roles or ["general"] * len(counts), sizes or [PLENTY] * len(counts), strict=True))
    )
    return Plan(sequence_length=8, sequences_per_step=each, seed=seed, sources=sources, stages=(stage_of(counts, each),))


def stage_of(counts: Sequence[int], each: int = 1) -> Stage:
    """A stage of constant ratios in which sources come to the given numbers of sequences."""
    shares, steps = tuple(Fraction(count, sum(counts)) for count in counts), sum(counts) // each
    return Stage(steps=steps, made_steps=steps, shares=shares, end_shares=shares, exact=(None,) * len(counts))


def supply(name: str, weight: Fraction, *, role: str = "general", unique: int = PLENTY, max_epochs: float = 1.0) -> Supply:
    """A source as planning sees it, of sequences of eight trained tokens."""
    return Supply(
        name=name,
        role=role,
        fingerprint="f",
        unique_sequences=unique,
        trained_tokens=8 * unique,
        weight=weight,
        max_epochs=max_epochs,
    )


def planned_by_weight(supplies: Sequence[Supply], *, total_tokens: int, sequences_per_step: int = 1, seed: int = 0) -> Plan:
    """A plan in which sources of sequences of eight tokens divide a budget by weight."""
    wish = StageWish(start=Ratios(), end=Ratios())
    return make_plan(supplies, [wish], total_tokens=total_tokens, sequence_length=8, sequences_per_step=sequences_per_step, seed=seed)


def whole(plan: Plan) -> Ints:
    """Every sequence number of a plan, in order."""
    return np.arange(plan.num_sequences, dtype=np.int64)
