"""Plans of the largest size against Python's integers, which do not overflow."""

from fractions import Fraction

import numpy as np
import pytest

from orchestrator.errors import MixtureError
from orchestrator.mixture.interleave import MAX_SEQUENCES, Ints, Leaf, Node, Tree, build_tree, counts_before, dealt_left, sources_of
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.planning import make_plan
from tests.mixture.mixtures import counts_of, fibonacci, plan_of, supply

FORTY = [
    pytest.param(fibonacci(40), id="fibonacci"),
    pytest.param([1.0] * 40, id="equal"),
    pytest.param([1e8, *[1.0] * 39], id="one dominant"),
    pytest.param([float(2**i) for i in range(40)], id="powers of two"),
]


def counted(tree: Tree, first: int, counts: dict[int, int]) -> dict[int, int]:
    """The sequences of each source among the first, by the definition of dealing and exact arithmetic."""
    if isinstance(tree, Leaf):
        return {**counts, tree.source: first}
    left = (2 * first * tree.left.total + tree.total) // (2 * tree.total) if tree.total else 0
    return counted(tree.right, first - left, counted(tree.left, left, counts))


def somewhere(total: int, count: int) -> list[int]:
    """Prefix lengths: the ends, the middle, powers of two and their neighbours, and random ones."""
    edges = {
        0,
        1,
        2,
        total // 2,
        total // 2 + 1,
        total - 2,
        total - 1,
        total,
        *(1 << i for i in range(40)),
        *((1 << i) - 1 for i in range(40)),
    }
    edges |= {total - (1 << i) for i in range(40)}
    return sorted({edge for edge in edges if 0 <= edge <= total} | set(np.random.default_rng(0).integers(0, total, count).tolist()))


def forty(weights: list[float], total: int) -> Plan:
    counts = counts_of(total, [Fraction(weight) for weight in weights])
    return plan_of(counts, roles=["spec", "spec"] + ["general"] * 37 + ["spec"], each=1)


@pytest.mark.parametrize("total", [1 << 33, MAX_SEQUENCES - 1, MAX_SEQUENCES])
@pytest.mark.parametrize("weights", FORTY)
def test_counts_of_a_huge_prefix_are_those_of_exact_integers(weights: list[float], total: int) -> None:
    plan = forty(weights, total)
    prefixes = somewhere(total, 100)
    counts = counts_before(plan.tree, np.array(prefixes), 40)
    assert counts.sum(axis=1).tolist() == prefixes
    for prefix, row in zip(prefixes, counts.tolist(), strict=True):
        exactly = counted(plan.tree, prefix, {})
        assert row == [exactly[i] for i in range(40)]


@pytest.mark.parametrize("total", [1 << 33, MAX_SEQUENCES])
@pytest.mark.parametrize("weights", FORTY)
def test_the_source_at_a_huge_sequence_number_is_the_one_whose_count_grows_there(weights: list[float], total: int) -> None:
    plan = forty(weights, total)
    numbers: Ints = np.array(somewhere(total - 1, 3000))
    sources, draws = sources_of(plan.tree, numbers)
    before, after = (counts_before(plan.tree, numbers + ahead, 40) for ahead in (0, 1))
    assert np.array_equal(after - before, np.eye(40, dtype=np.int64)[sources])
    assert np.array_equal(draws, np.take_along_axis(before, sources[:, None], axis=1)[:, 0])


@pytest.mark.parametrize(
    "left", [0, 1, 2, 3, (1 << 20) - 1, 1 << 20, MAX_SEQUENCES // 2, MAX_SEQUENCES // 2 + 1, MAX_SEQUENCES - 1, MAX_SEQUENCES]
)
def test_dealing_at_the_most_sequences_is_rounding_halves_up(left: int) -> None:
    node = Node(Leaf(0, left), Leaf(1, MAX_SEQUENCES - left), MAX_SEQUENCES)
    prefixes = somewhere(MAX_SEQUENCES, 2000)
    rounded = [int(Fraction(first * left, MAX_SEQUENCES) + Fraction(1, 2)) for first in prefixes]
    assert dealt_left(np.array(prefixes), node).tolist() == rounded


def test_a_tree_of_sources_without_sequences_deals_none() -> None:
    tree = build_tree([(0, 0), (1, 0)], [(2, 5), (3, 0)])
    assert counts_before(tree, np.arange(6), 4).tolist() == [[0, 0, n, 0] for n in range(6)]
    assert sources_of(tree, np.arange(5))[0].tolist() == [2] * 5


def test_a_huge_plan_says_where_its_sequences_are_within_their_sources() -> None:
    plan = plan_of([1 << 38, MAX_SEQUENCES - (1 << 38)], roles=["spec", "general"], sizes=[12_345, 1 << 39])
    draws = plan.look_up(np.array(somewhere(MAX_SEQUENCES - 1, 1000)))
    for index, source in enumerate(plan.sources):
        here = draws.sources == index
        assert 0 <= draws.positions[here].min() <= draws.positions[here].max() < source.unique_sequences
        assert draws.epochs[here].max() == (source.sequences - 1) // source.unique_sequences


def budget(num_sequences: int) -> Plan:
    halves = [supply("spec", Fraction(1, 2), role="spec"), supply("general", Fraction(1, 2))]
    return make_plan(halves, total_tokens=num_sequences * 4096, sequence_length=4096, sequences_per_step=1, seed=0)


def test_the_largest_plan_is_made_and_one_sequence_more_is_refused_with_the_limit() -> None:
    assert budget(MAX_SEQUENCES).num_sequences == MAX_SEQUENCES
    with pytest.raises(MixtureError) as caught:
        budget(MAX_SEQUENCES + 1)
    for part in ("mixture.total_tokens", f"{(MAX_SEQUENCES + 1) * 4096:,}", f"{MAX_SEQUENCES + 1:,}", f"{MAX_SEQUENCES:,}"):
        assert part in str(caught.value)
