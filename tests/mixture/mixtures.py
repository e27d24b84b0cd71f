"""Mixtures to draw examples from, and plans straight from stages, without the checks of planning."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from orchestrator.mixture.apportion import exact
from orchestrator.mixture.interleave import Ints
from orchestrator.mixture.plan import Plan, PlannedSource
from orchestrator.mixture.stages import Stage
from orchestrator.mixture.subset import Subset
from orchestrator.mixture.wishes import Ratios, StageWish, Supply

LAW = settings(deadline=None, max_examples=40)
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


def shares_of(count: int) -> st.SearchStrategy[list[Fraction]]:
    """Exact shares of so many sources; they sum to 1."""
    parts = weights(count).map(lambda drawn: [exact(weight) for weight in drawn])
    return parts.map(lambda drawn: [part / sum(drawn) for part in drawn])


@st.composite
def shares(draw: st.DrawFn, most: int = 40) -> tuple[list[Fraction], list[str]]:
    """Exact shares that sum to 1, and roles."""
    count = draw(st.integers(1, most))
    return draw(shares_of(count)), draw(roles(count))


@st.composite
def stages(draw: st.DrawFn, count: int, each: int = 1, *, ramps: bool = True, counts: bool = True, most_steps: int = 60) -> Stage:
    """A stage of so many sources: constant or a ramp, some of them absent, some with exact counts."""
    steps = draw(st.integers(1, most_steps))
    given: dict[int, int] = {}
    if counts and draw(st.booleans()):
        for source in draw(st.lists(st.integers(0, count - 1), unique=True, max_size=5)):
            given[source] = draw(st.integers(0, min(50, steps * each - sum(given.values()))))
    absent = draw(st.sets(st.integers(0, count - 1), max_size=count - 1)) if draw(st.booleans()) else set()
    start = draw(shares_of(count))
    end = draw(shares_of(count)) if ramps and draw(st.booleans()) else start
    shares, end_shares = (_with_counts(drawn, given, absent, steps * each) for drawn in (start, end))
    known = [given.get(source) for source in range(count)]
    if not _leftover(start, given, absent) and sum(given.values()) < steps * each:
        known = [None] * count
        shares, end_shares = tuple(start), tuple(end)
    return Stage(steps=steps, made_steps=steps, shares=shares, end_shares=end_shares, exact=tuple(known))


def _leftover(shares: Sequence[Fraction], given: Mapping[int, int], absent: set[int]) -> Fraction:
    return sum((share for source, share in enumerate(shares) if source not in given and source not in absent), Fraction(0))


def _with_counts(shares: Sequence[Fraction], given: Mapping[int, int], absent: set[int], length: int) -> tuple[Fraction, ...]:
    """Shares with those of counts put in, the others dividing what is left."""
    whole, free = _leftover(shares, given, absent), Fraction(length - sum(given.values()), length)
    return tuple(
        Fraction(given[source], length) if source in given else share * free / whole if whole and source not in absent else Fraction(0)
        for source, share in enumerate(shares)
    )


@st.composite
def plans(
    draw: st.DrawFn, most_sources: int = 40, most_stages: int = 3, *, ramps: bool = True, counts: bool = True, most_steps: int = 60
) -> Plan:
    """Small plans of several stages, with sources of no sequence, of many epochs and used in part among them, and stages that an amendment
    cut."""
    count, each = draw(st.integers(1, most_sources)), draw(st.integers(1, 12))
    stage = stages(count, each, ramps=ramps, counts=counts, most_steps=most_steps)
    several = draw(st.lists(stage, min_size=1, max_size=most_stages))
    if draw(st.booleans()):
        several = [replace(stage, made_steps=draw(st.integers(1, stage.steps))) for stage in several]
    sizes = draw(st.lists(st.integers(1, 50), min_size=count, max_size=count))
    parts = [draw(st.none() | st.integers(1, size)) for size in sizes] if draw(st.booleans()) else []
    return plan_of(several, roles=draw(roles(count)), sizes=sizes, parts=parts, each=each, seed=draw(st.integers(0, 1 << 63)))


def plan_of(
    stages: Sequence[Stage],
    *,
    roles: Sequence[str] = (),
    sizes: Sequence[int] = (),
    parts: Sequence[int | None] = (),
    each: int = 1,
    seed: int = 0,
) -> Plan:
    """A plan of sources s0, s1, … in the given stages.

    Args:
        stages: in order.
        roles: of each source; none given: all general.
        sizes: unique sequences of each; none given: more than enough.
        parts: how many of them the run uses; none given, and where it is none: all.
        each: sequences of a step.
        seed: of the shuffles.
    """
    count = len(stages[0].shares)
    told = zip(roles or ["general"] * count, sizes or [PLENTY] * count, parts or [None] * count, strict=True)
    sources = tuple(
        PlannedSource(
            name=f"s{i}",
            role=role,
            fingerprint=f"f{i}",
            unique_sequences=size,
            trained_tokens=8 * size,
            subset=subset_of(part) if part else None,
        )
        for i, (role, size, part) in enumerate(told)
    )
    return Plan(sequence_length=8, sequences_per_step=each, seed=seed, sources=sources, stages=tuple(stages))


def subset_of(sequences: int, tokens: Fraction | int = 8) -> Subset:
    """So many sequences of eight trained tokens, or as many as said."""
    return Subset(sequences=sequences, trained_tokens=int(tokens * sequences))


def stage_of(counts: Sequence[int], each: int = 1) -> Stage:
    """A stage of constant ratios in which sources come to the given numbers of sequences."""
    shares, steps = tuple(Fraction(count, sum(counts)) for count in counts), sum(counts) // each
    return Stage(steps=steps, made_steps=steps, shares=shares, end_shares=shares, exact=(None,) * len(counts))


def supply(
    name: str,
    weight: Fraction | int = 1,
    *,
    role: str = "general",
    unique: int = PLENTY,
    max_epochs: float | None = 1.0,
    tokens: Fraction | int = 8,
) -> Supply:
    """A source as planning sees it, of sequences of eight trained tokens or as many as said."""
    return Supply(
        name=name,
        role=role,
        fingerprint=f"f-{name}",
        unique_sequences=unique,
        trained_tokens=int(tokens * unique),
        weight=Fraction(weight),
        max_epochs=max_epochs,
    )


def wish(
    start: Ratios | float | None = None,
    end: Ratios | float | None = None,
    *,
    key: str = "mixture",
    steps: int | None = None,
    tokens: int | None = None,
    source_tokens: Mapping[str, int] | None = None,
    source_epochs: Mapping[str, float] | None = None,
) -> StageWish:
    """A stage: ratios, or the dial as a number; none: by weight."""
    first, last = (ratios if isinstance(ratios, Ratios) else _dial(ratios) for ratios in (start, start if end is None else end))
    return StageWish(
        key=key, steps=steps, tokens=tokens, start=first, end=last, source_tokens=source_tokens or {}, source_epochs=source_epochs or {}
    )


def _dial(spec_share: float | None) -> Ratios:
    return Ratios(spec_share=None if spec_share is None else exact(spec_share))


def whole(plan: Plan) -> Ints:
    """Every sequence number of a plan, in order."""
    return np.arange(plan.num_sequences, dtype=np.int64)


def rows(plan: Plan, numbers: Ints | None = None) -> list[tuple[str, int, int]]:
    """(source, epoch, position) of sequence numbers; none given: of all, in the order of training."""
    draws = plan.look_up(whole(plan) if numbers is None else numbers)
    names = [plan.sources[index].name for index in draws.sources.tolist()]
    return list(zip(names, draws.epochs.tolist(), draws.positions.tolist(), strict=True))
