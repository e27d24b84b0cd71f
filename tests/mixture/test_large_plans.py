"""Plans of the largest size against Python's integers, which do not overflow."""

import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import MixtureError
from orchestrator.mixture.interleave import (
    MAX_SEQUENCES,
    UNIT,
    Ints,
    Leaf,
    Node,
    Tree,
    build_tree,
    counts_before,
    dealing_shape,
    dealt_left,
    totals_of,
)
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.planning import make_plan
from orchestrator.mixture.stages import Stage
from tests.mixture.mixtures import LAW, fibonacci, plan_of, shares, stage_of, supply, wish

HUGE = 7_300_000_000  # sequences
FORTY = [
    pytest.param(fibonacci(40), id="fibonacci"),
    pytest.param([1.0] * 40, id="equal"),
    pytest.param([1e8, *[1.0] * 39], id="one dominant"),
    pytest.param([float(2**i) for i in range(40)], id="powers of two"),
    pytest.param([float(1 + i) for i in range(40)], id="small whole"),
]


def counted(tree: Tree, first: int, counts: dict[int, int]) -> dict[int, int]:
    """The sequences of each source among the first, by the definition of dealing and exact arithmetic."""
    if isinstance(tree, Leaf):
        return {**counts, tree.source: first}
    left = (first * tree.rise + tree.offset) // tree.run
    return counted(tree.right, first - left, counted(tree.left, left, counts))


def somewhere(total: int, count: int) -> list[int]:
    """Prefix lengths: the ends, the middle, powers of two and their neighbours, and random ones."""
    edges = {0, 1, 2, total // 2, total // 2 + 1, *(1 << i for i in range(40)), *((1 << i) - 1 for i in range(40))}
    edges |= {total - edge for edge in edges}
    return sorted({edge for edge in edges if 0 <= edge <= total} | set(np.random.default_rng(0).integers(0, total, count).tolist()))


def span(weights: list[float], total: int) -> tuple[Tree, list[int]]:
    """The tree of a span of forty sources, three of them the spec's, and the quotas in 1/UNIT sequences."""
    whole = sum(map(Fraction, weights))
    quotas = [int(total * UNIT * Fraction(weight) / whole) for weight in weights]
    spec = {i: quotas[i] for i in (0, 1, 39)}
    return build_tree(dealing_shape(spec, {i: quotas[i] for i in range(2, 39)}), quotas, quotas, total), quotas


@pytest.mark.parametrize("total", [HUGE, HUGE + 3, 1 << 33, MAX_SEQUENCES - 1, MAX_SEQUENCES])
@pytest.mark.parametrize("weights", FORTY)
def test_a_huge_span_deals_as_exact_integers_do_and_ends_beside_its_quotas(weights: list[float], total: int) -> None:
    tree, quotas = span(weights, total)
    prefixes = somewhere(total, 100)
    counts = counts_before(tree, np.array(prefixes), 40)
    assert counts.sum(axis=1).tolist() == prefixes
    for prefix, row in zip(prefixes, counts.tolist(), strict=True):
        exactly = counted(tree, prefix, {})
        assert row == [exactly[i] for i in range(40)]
    assert totals_of(tree) == dict(enumerate(counts[-1].tolist()))
    assert all(quota // UNIT <= count <= -(-quota // UNIT) for quota, count in zip(quotas, counts[-1].tolist(), strict=True))


@LAW
@given(shares(), st.integers(1 << 20, MAX_SEQUENCES))
def test_a_source_of_a_long_span_is_within_two_sequences_of_its_rate_at_random_places(
    mixture: tuple[list[Fraction], list[str]], total: int
) -> None:
    plan = plan_of(
        [Stage(steps=total, made_steps=total, shares=tuple(mixture[0]), end_shares=tuple(mixture[0]), exact=(None,) * len(mixture[0]))],
        roles=mixture[1],
    )
    prefixes = somewhere(total, 50)
    for prefix, row in zip(prefixes, plan.spans.counts_before(np.array(prefixes)).tolist(), strict=True):
        assert max(abs(count - prefix * share) for count, share in zip(row, mixture[0], strict=True)) < 2


@pytest.mark.parametrize("total", [HUGE, MAX_SEQUENCES])
@pytest.mark.parametrize("weights", FORTY)
def test_the_source_at_a_huge_sequence_number_is_the_one_whose_count_grows_there(weights: list[float], total: int) -> None:
    plan = plan_of([stage_of([int(weight * total / sum(weights)) for weight in weights])], roles=["spec", "spec"] + ["general"] * 38)
    numbers: Ints = np.array(somewhere(plan.num_sequences - 1, 3000))
    sources, draws = plan.spans.look_up(numbers)
    before, after = (plan.spans.counts_before(numbers + ahead) for ahead in (0, 1))
    assert np.array_equal(after - before, np.eye(40, dtype=np.int64)[sources])
    assert np.array_equal(draws, np.take_along_axis(before, sources[:, None], axis=1)[:, 0])
    some = slice(None, None, 50)
    found = [plan.spans.number_of(*pair) for pair in zip(sources[some].tolist(), draws[some].tolist(), strict=True)]
    assert found == numbers[some].tolist()


@pytest.mark.parametrize(
    "left", [0, 1, 2, 3, (1 << 20) - 1, 1 << 20, MAX_SEQUENCES // 2, MAX_SEQUENCES // 2 + 1, MAX_SEQUENCES - 1, MAX_SEQUENCES]
)
@pytest.mark.parametrize("scale", [1, 2])
def test_dealing_at_the_most_sequences_and_the_longest_run_does_not_overflow(left: int, scale: int) -> None:
    rise, run = left * scale, MAX_SEQUENCES * scale
    node = Node(Leaf(0, left), Leaf(1, MAX_SEQUENCES - left), rise, run, run // 2, MAX_SEQUENCES)
    prefixes = somewhere(MAX_SEQUENCES, 2000)
    dealt, over = dealt_left(np.array(prefixes), node)
    assert list(zip(dealt.tolist(), over.tolist(), strict=True)) == [divmod(first * rise + run // 2, run) for first in prefixes]


def test_a_plan_of_7_300_000_000_sequences_of_40_sources_is_made_at_once_with_exact_totals() -> None:
    supplies = [supply(f"s{i}", role="spec" if i < 20 else "general", unique=1 << 40) for i in range(40)]
    began = time.perf_counter()
    plan = make_plan(supplies, [wish(0.1)], total_tokens=HUGE * 8, sequence_length=8, sequences_per_step=1000, seed=0)
    print(f"planned in {time.perf_counter() - began:.3f} s")
    assert sum(plan.sequences) == HUGE == plan.spans.counts_before(np.array([HUGE])).sum()
    assert (plan.sequences[0], plan.sequences[-1]) == (HUGE // 200, HUGE * 9 // 200)


def test_a_huge_plan_with_an_exact_count_and_equal_others_has_it_exactly() -> None:
    """Lines are tilted here: the rates are simple, and the span is longer than 2**28."""
    supplies = [supply("rules", role="spec", unique=3_333_333_333), *(supply(f"s{i}") for i in range(4))]
    plan = make_plan(
        supplies, [wish(source_epochs={"rules": 1.0})], total_tokens=(HUGE + 1) * 8, sequence_length=8, sequences_per_step=1, seed=0
    )
    assert plan.sequences[0] == 3_333_333_333
    assert sum(plan.sequences) == HUGE + 1
    assert max(plan.sequences[1:]) - min(plan.sequences[1:]) <= 1


def test_a_huge_ramp_has_exact_totals_and_keeps_to_its_line() -> None:
    total = 1 << 31
    start, end = ((Fraction(1, 10), Fraction(9, 10)), (Fraction(6, 10), Fraction(4, 10)))
    began = time.perf_counter()
    plan = plan_of([Stage(steps=total, made_steps=total, shares=start, end_shares=end, exact=(None, None))], roles=["spec", "general"])
    assert sum(plan.sequences) == total
    print(f"laid out in {time.perf_counter() - began:.3f} s")
    for prefix in somewhere(total, 200):
        due = start[0] * prefix + (end[0] - start[0]) * prefix**2 / (2 * total)
        assert abs(int(plan.spans.counts_before(np.array([prefix]))[0, 0]) - due) <= 1
    numbers = np.array(somewhere(total - 1, 200))
    sources, draws = plan.spans.look_up(numbers)
    assert [plan.spans.number_of(*pair) for pair in zip(sources.tolist(), draws.tolist(), strict=True)] == numbers.tolist()


def test_a_huge_plan_says_where_its_sequences_are_within_their_sources() -> None:
    plan = plan_of([stage_of([1 << 38, MAX_SEQUENCES - (1 << 38)])], roles=["spec", "general"], sizes=[12_345, 1 << 39])
    draws = plan.look_up(np.array(somewhere(MAX_SEQUENCES - 1, 1000)))
    for index, source in enumerate(plan.sources):
        here = draws.sources == index
        assert 0 <= draws.positions[here].min() <= draws.positions[here].max() < source.unique_sequences
        assert draws.epochs[here].max() == (plan.sequences[index] - 1) // source.unique_sequences


def budget(num_sequences: int) -> Plan:
    halves = [supply("spec", role="spec"), supply("general")]
    return make_plan(halves, [wish(0.5)], total_tokens=num_sequences * 4096, sequence_length=4096, sequences_per_step=1, seed=0)


def test_the_largest_plan_is_made_and_one_sequence_more_is_refused_with_the_limit() -> None:
    assert budget(MAX_SEQUENCES).num_sequences == MAX_SEQUENCES
    with pytest.raises(MixtureError) as caught:
        budget(MAX_SEQUENCES + 1)
    for part in ("mixture.total_tokens", f"{(MAX_SEQUENCES + 1) * 4096:,}", f"{MAX_SEQUENCES + 1:,}", f"{MAX_SEQUENCES:,}"):
        assert part in str(caught.value)
