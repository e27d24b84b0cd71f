"""Which source a sequence of a span comes from, in closed form.

A span is a stretch of the stream in which every source has one rate, and comes out with a whole number of sequences that was settled before
(`spans.py`). Its sources are leaves of a binary tree. At each node the items that reach it are dealt to its two children along a line: of
the first m items, the left child gets floor((m * rise + offset) / run). Where rise / run is the child's part of the node's rate and offset
is run / 2, that rounds to the nearest. So any item can be placed without placing those before it, and nothing grows with the corpus. What
was owed at the end of the span before shifts the offset, so that errors do not add up; where a line would not end at the settled count, it
is tilted so that it does.

The root parts the spec sources from the others: the spec as a whole is within half a sequence of its ratio at every prefix. Below are
Huffman trees, where a grandparent weighs at least as much as its child and grandchild together: weights on a path grow like Fibonacci
numbers, so a source's dealing is off by less than half the sum of their reciprocals, 1.68 sequences, for any number of sources
(docs/stages/mixture.md has the proof, and what the tilts add).
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
UNIT = 1 << 32  # quotas and debts are whole numbers of 1/UNIT sequences
MAX_SEQUENCES = 1 << 40
_LIMB = 1 << 20
_FINE = 1 << 28
_SHORT = 1 << 20  # a span so short that a rate rounded to 1/MAX_SEQUENCES is exact enough


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """What a source is to get of a span.

    Attributes:
        source: its index.
        weight: decides its place in the tree; the same in all spans of a stage, so that the tree is the same.
        quota: its part of the span, in 1/UNIT sequences.
        owed: what it was due before the span less what it had, in 1/UNIT sequences.
        count: the sequences that it comes out with.
    """

    source: int
    weight: int
    quota: int
    owed: int
    count: int


@dataclass(frozen=True, slots=True)
class Leaf:
    """One source, and how many sequences of the span are its own."""

    source: int
    total: int


@dataclass(frozen=True, slots=True)
class Node:
    """Items dealt to two subtrees: of the first m, (m * rise + offset) // run go left."""

    left: "Tree"
    right: "Tree"
    rise: int
    run: int
    offset: int
    total: int


Tree = Leaf | Node


@dataclass(frozen=True, slots=True)
class _Sum:
    """Parts that a subtree deals to, added up."""

    quota: int
    owed: int
    count: int
    inside: "Part | tuple[_Sum, _Sum]"


def build_tree(spec: Sequence[Part], others: Sequence[Part], *, spec_owed: int = 0) -> Tree:
    """The dealing tree of a span.

    Args:
        spec: the parts of the spec sources; may be empty.
        others: those of all other sources; may be empty, but not both.
        spec_owed: what the spec as a whole is owed from before, in 1/UNIT sequences; so much is the rest in debt.

    Returns:
        The tree, whose root parts spec from others when both are there.
    """
    sides = [replace(_huffman(parts), owed=owed) for parts, owed in ((spec, spec_owed), (others, -spec_owed)) if parts]
    whole = sides[0] if len(sides) == 1 else _join(*sides)
    return _settle(replace(whole, owed=0))


def _huffman(parts: Sequence[Part]) -> _Sum:
    heap = [(part.weight, order, _Sum(part.quota, part.owed, part.count, part)) for order, part in enumerate(parts)]
    heapq.heapify(heap)
    order = len(heap)
    while len(heap) > 1:
        (small, _, left), (large, _, right) = heapq.heappop(heap), heapq.heappop(heap)
        heapq.heappush(heap, (small + large, order, _join(left, right)))
        order += 1
    return heap[0][2]


def _join(left: _Sum, right: _Sum) -> _Sum:
    return _Sum(left.quota + right.quota, left.owed + right.owed, left.count + right.count, (left, right))


def _settle(whole: _Sum) -> Tree:
    """Draw the line along which a node's items are dealt: the left child's part of them, and what it is owed beyond its part of what the
    node is owed. It begins at no item and ends with the left child's count."""
    if isinstance(whole.inside, Part):
        return Leaf(whole.inside.source, whole.count)
    left, right = whole.inside
    rise, run = _rate(left.quota, whole.quota, whole.count)
    offset = run // 2 + (left.owed * run - whole.owed * rise) // UNIT
    offset = min(max(offset, 0), run - 1)
    end = (whole.count * rise + offset) // run
    if end < left.count:
        rise = -((offset - left.count * run) // whole.count)
    elif end > left.count:
        rise = ((left.count + 1) * run - 1 - offset) // whole.count
    return Node(_settle(left), _settle(right), rise, run, offset, whole.count)


def _rate(part: int, whole: int, length: int) -> tuple[int, int]:
    """part / whole as integers, so near that the rate alone places no item of the span by more than 2**-20 off, or by more than a quarter
    in the longest spans.

    The run is at least the span's length: then a line can be tilted to end at any count. It is at least _FINE, because offsets are parts of
    the run, and at most 2 * MAX_SEQUENCES, so that the products below stay under 2**62.
    """
    if whole == 0:
        return 0, max(_FINE, length)
    divisor = gcd(part, whole)
    rise, run = part // divisor, whole // divisor
    if run > MAX_SEQUENCES and length <= _SHORT:
        rise, run = (part * MAX_SEQUENCES + whole // 2) // whole, MAX_SEQUENCES
    elif run > MAX_SEQUENCES:
        rate = Fraction(part, whole).limit_denominator(MAX_SEQUENCES)
        rise, run = rate.numerator, rate.denominator
    scale = -(-max(_FINE, length) // run)
    return rise * scale, run * scale


def dealt_left(first: Ints, node: Node) -> tuple[Ints, Ints]:
    """How many of a node's first items its left child has received, and whether it receives the next one.

    Args:
        first: (n,) prefix lengths, 0 to the node's total.
        node: the node; its total is at most MAX_SEQUENCES, its run twice that.

    Returns:
        (n,) of (first * rise + offset) // run, and (n,) of what is left over; the next item goes left where that is at least run - rise.
    """
    if node.total * node.rise < 1 << 62:
        return np.divmod(first * node.rise + node.offset, node.run)
    high, low = divmod(node.rise, _LIMB)
    quotient, remainder = np.divmod(first * high, node.run)
    more, remainder = np.divmod(remainder * _LIMB + first * low, node.run)
    carried = remainder + node.offset >= node.run
    return quotient * _LIMB + more + carried, remainder + node.offset - carried * node.run


def counts_before(tree: Tree, first: Ints, num_sources: int) -> Ints:
    """How many sequences of each source stand in each prefix of a span.

    Args:
        tree: the span's tree.
        first: (n,) prefix lengths in sequences.
        num_sources: sources of the mixture, those that the span does not have included.

    Returns:
        (n, num_sources) counts; each row sums to its prefix length.
    """
    counts = np.zeros((len(first), num_sources), dtype=np.int64)

    def descend(node: Tree, items: Ints) -> None:
        if isinstance(node, Leaf):
            counts[:, node.source] = items
            return
        left, _ = dealt_left(items, node)
        descend(node.left, left)
        descend(node.right, items - left)

    descend(tree, first)
    return counts


def sources_of(tree: Tree, numbers: Ints) -> tuple[Ints, Ints]:
    """Which source each item of a span draws from, and the how-manieth draw of that source in the span it is.

    Args:
        tree: the span's tree.
        numbers: (n,) items, 0 to the tree's total less one, in any order.

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
        before, over = dealt_left(items, node)
        goes_left = over >= node.run - node.rise
        descend(node.left, before[goes_left], where[goes_left])
        descend(node.right, (items - before)[~goes_left], where[~goes_left])

    descend(tree, np.asarray(numbers, dtype=np.int64), np.arange(len(numbers)))
    return sources, draws


def item_of(tree: Tree, source: int, draw: int) -> int | None:
    """Where a draw of a source stands in a span: the inverse of `sources_of`.

    Args:
        tree: the span's tree.
        source: its index.
        draw: the how-manieth draw of it in the span, from 0.

    Returns:
        The item, or none when the span has fewer draws of the source.
    """
    if isinstance(tree, Leaf):
        return draw if tree.source == source and draw < tree.total else None
    if (item := item_of(tree.left, source, draw)) is not None:
        return _last_needed(item, tree.rise, tree.run, tree.offset)
    if (item := item_of(tree.right, source, draw)) is not None:  # of m items m - left(m) go right, which is a line as well
        return _last_needed(item, tree.run - tree.rise, tree.run, tree.run - 1 - tree.offset)
    return None


def _last_needed(item: int, rise: int, run: int, offset: int) -> int:
    """The first item with which a line has dealt `item` + 1."""
    return -(((item + 1) * run - offset) // -rise) - 1
