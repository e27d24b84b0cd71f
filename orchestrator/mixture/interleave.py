"""Which source the sequence with a given number comes from, in closed form.

The sources are leaves of a binary tree. At each node the items that reach it are dealt to its two children by rounding: of the
first m items, the left child gets round(m * left / total). That is exact at the end, at most half an item off anywhere,
and needs no table. The root parts the spec sources from the others, so the spec as a whole is within half a sequence of its share at
every prefix. Below, the trees are Huffman trees: a grandparent there weighs at least as much as its child and grandchild together, so
weights on a path grow like Fibonacci numbers and a leaf's error is below half the sum of their reciprocals, 1.68 sequences, for any number
of sources (docs/decisions/0002-interleaving.md has the proof).
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
MAX_SEQUENCES = 1 << 40  # the products below stay under 2**62
_LIMB = 1 << 20


@dataclass(frozen=True, slots=True)
class Leaf:
    """One source."""

    source: int
    total: int


@dataclass(frozen=True, slots=True)
class Node:
    """Items dealt to two subtrees in proportion to their totals."""

    left: "Tree"
    right: "Tree"
    total: int


Tree = Leaf | Node


def build_tree(spec: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]]) -> Tree:
    """The dealing tree of a mixture.

    Args:
        spec: (source index, number of sequences) of each spec source; may be empty.
        others: the same for every other source; may be empty, but not both.

    Returns:
        The tree, whose root parts spec from others when both are there.
    """
    halves = [_huffman(part) for part in (spec, others) if part]
    return halves[0] if len(halves) == 1 else Node(halves[0], halves[1], halves[0].total + halves[1].total)


def _huffman(leaves: Sequence[tuple[int, int]]) -> Tree:
    heap: list[tuple[int, int, Tree]] = [(total, order, Leaf(source, total)) for order, (source, total) in enumerate(leaves)]
    heapq.heapify(heap)
    order = len(heap)
    while len(heap) > 1:
        small, _, left = heapq.heappop(heap)
        large, _, right = heapq.heappop(heap)
        heapq.heappush(heap, (small + large, order, Node(left, right, small + large)))
        order += 1
    return heap[0][2]


def dealt_left(first: Ints, node: Node) -> Ints:
    """How many of a node's first items its left child has received.

    Args:
        first: (n,) prefix lengths, 0 to the node's total.
        node: the node; its total is at most MAX_SEQUENCES.

    Returns:
        (n,) round(first * left / total), halves up.
    """
    total, left = node.total, node.left.total
    if total == 0:
        return np.zeros_like(first)
    high, low = divmod(left, _LIMB)
    quotient, remainder = np.divmod(first * high, total)
    more, remainder = np.divmod(remainder * _LIMB + first * low, total)
    return quotient * _LIMB + more + (2 * remainder >= total)


def counts_before(tree: Tree, first: Ints, num_sources: int) -> Ints:
    """How many sequences of each source stand in each prefix of the stream.

    Args:
        tree: the mixture's tree.
        first: (n,) prefix lengths in sequences.
        num_sources: sources of the mixture, those with no sequence included.

    Returns:
        (n, num_sources) counts; each row sums to its prefix length.
    """
    counts = np.zeros((len(first), num_sources), dtype=np.int64)

    def descend(node: Tree, items: Ints) -> None:
        if isinstance(node, Leaf):
            counts[:, node.source] = items
            return
        left = dealt_left(items, node)
        descend(node.left, left)
        descend(node.right, items - left)

    descend(tree, first)
    return counts


def sources_of(tree: Tree, numbers: Ints) -> tuple[Ints, Ints]:
    """Which source each sequence number draws from, and the how-manieth draw of that source it is.

    Args:
        tree: the mixture's tree.
        numbers: (n,) sequence numbers, 0 to the tree's total less one, in any order.

    Returns:
        (n,) source indices and (n,) draws, counted from 0 within the source.
    """
    sources = np.empty(len(numbers), dtype=np.int64)
    draws = np.empty(len(numbers), dtype=np.int64)

    def descend(node: Tree, items: Ints, where: Ints) -> None:
        if len(where) == 0:
            return
        if isinstance(node, Leaf):
            sources[where], draws[where] = node.source, items
            return
        before = dealt_left(items, node)
        goes_left = dealt_left(items + 1, node) > before
        descend(node.left, before[goes_left], where[goes_left])
        descend(node.right, (items - before)[~goes_left], where[~goes_left])

    descend(tree, np.asarray(numbers, dtype=np.int64), np.arange(len(numbers)))
    return sources, draws
