"""One span: counts of a prefix, the source of an item and the item of a draw are three views of one stream, and it keeps to its rates."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from orchestrator.mixture.interleave import UNIT, Tree, build_tree, counts_before, dealing_shape, item_of, sources_of, totals_of
from tests.mixture.mixtures import LAW, fibonacci, shares

HUFFMAN_DRIFT = 1.68  # sequences: half the sum of the reciprocals of the Fibonacci numbers


def tree_of(quotas: list[int], wants: list[int], roles: list[str], total: int) -> Tree:
    weights = {spec: {i: quotas[i] for i, role in enumerate(roles) if (role == "spec") == spec} for spec in (True, False)}
    return build_tree(dealing_shape(weights[True], weights[False]), quotas, wants, total)


@st.composite
def spans(draw: st.DrawFn, *, debts: bool = True) -> tuple[Tree, list[int], list[int], int]:
    """A span's tree, its sources' wants and quotas in 1/UNIT sequences, and its length."""
    parts, roles = draw(shares())
    total = draw(st.integers(1, 500))
    quotas = [int(total * UNIT * part) for part in parts]
    owed = [draw(st.integers(-UNIT, UNIT)) for _ in parts] if debts else [0 for _ in parts]
    wants = [max(0, quota + more - sum(owed) // len(owed)) for quota, more in zip(quotas, owed, strict=True)]
    wants = [want * total * UNIT // sum(wants) for want in wants]
    return tree_of(quotas, wants, roles, total), wants, quotas, total


@LAW
@given(spans())
def test_every_source_comes_to_a_whole_number_beside_what_it_wants_and_all_of_them_to_the_span(
    span: tuple[Tree, list[int], list[int], int],
) -> None:
    tree, wants, _, total = span
    counts = totals_of(tree)
    assert sum(counts.values()) == total
    for source, count in counts.items():
        assert wants[source] // UNIT <= count <= -(-wants[source] // UNIT)


@LAW
@given(spans())
def test_counts_before_is_what_counting_the_sources_of_the_items_gives(span: tuple[Tree, list[int], list[int], int]) -> None:
    tree, wants, _, total = span
    sources, _ = sources_of(tree, np.arange(total))
    one_hot = np.eye(len(wants), dtype=np.int64)[sources]
    counted = np.vstack([np.zeros_like(one_hot[:1]), one_hot.cumsum(axis=0)])
    assert np.array_equal(counts_before(tree, np.arange(total + 1), len(wants)), counted)
    assert totals_of(tree) == dict(enumerate(counted[-1].tolist()))


@LAW
@given(spans())
def test_the_draws_of_a_source_count_up_from_zero_and_item_of_finds_each_of_them(span: tuple[Tree, list[int], list[int], int]) -> None:
    tree, wants, _, total = span
    sources, draws = sources_of(tree, np.arange(total))
    for source in range(len(wants)):
        items = np.flatnonzero(sources == source)
        assert draws[items].tolist() == list(range(len(items)))
        assert [item_of(tree, source, draw) for draw in range(len(items))] == items.tolist()
        assert item_of(tree, source, len(items)) is None


@LAW
@given(spans(), st.data())
def test_an_item_has_the_same_source_and_draw_whatever_is_asked_with_it(
    span: tuple[Tree, list[int], list[int], int], data: st.DataObject
) -> None:
    tree, _, _, total = span
    numbers = np.array(data.draw(st.lists(st.integers(0, total - 1), max_size=30)), dtype=np.int64)
    sources, draws = sources_of(tree, np.arange(total))
    some_sources, some_draws = sources_of(tree, numbers)
    assert np.array_equal(some_sources, sources[numbers])
    assert np.array_equal(some_draws, draws[numbers])


def ahead(tree: Tree, quotas: list[int], total: int) -> NDArray[np.float64]:
    """How many items each source is ahead of its rate at every prefix."""
    rates = np.array([float(Fraction(quota, sum(quotas))) for quota in quotas])
    off: NDArray[np.float64] = counts_before(tree, np.arange(total + 1), len(quotas)) - np.arange(total + 1)[:, None] * rates
    return off


@LAW
@given(shares(), st.integers(1, 3000))
def test_where_lines_are_not_tilted_every_source_is_within_the_huffman_bound_of_its_rate(
    mixture: tuple[list[Fraction], list[str]], length: int
) -> None:
    """The beginning of a span so long that what a tilt adds there is nothing."""
    quotas = [int((length << 30) * UNIT * part) for part in mixture[0]]
    tree = tree_of(quotas, quotas, mixture[1], length << 30)
    assert np.abs(ahead(tree, quotas, length)).max() < HUFFMAN_DRIFT + 1e-6


def test_the_deepest_tree_stays_within_the_huffman_bound() -> None:
    for roles in (["general"] * 24, ["general"] * 23 + ["spec"]):
        counts = [int(weight) for weight in fibonacci(24)]
        quotas = [count * UNIT for count in counts]
        assert np.abs(ahead(tree_of(quotas, quotas, roles, sum(counts)), quotas, sum(counts))).max() < HUFFMAN_DRIFT


def test_a_tree_of_sources_without_sequences_deals_none() -> None:
    tree = tree_of([0, 0, 5 * UNIT, 0], [0, 0, 5 * UNIT, 0], ["spec", "spec", "general", "general"], 5)
    assert counts_before(tree, np.arange(6), 4).tolist() == [[0, 0, n, 0] for n in range(6)]
    assert sources_of(tree, np.arange(5))[0].tolist() == [2] * 5
