"""Which source a sequence of a span comes from, in closed form.

A span is a stretch of the stream in which every source has one rate, and wants a number of sequences (`layout.py`): it comes to a whole
one beside that. Its sources are leaves of a binary tree. At each node the items that reach it are dealt to its two children along a line:
of the first m items, the left child gets floor((m * rise + offset) / run). Where rise / run is the child's part of the node's rate and
offset is run / 2, that rounds to the nearest. So any item can be placed without placing those before it, and nothing grows with the
corpus. What was owed at the end of the span before shifts the offset, so that errors do not add up. Where a line would end at a count that
leaves a source a whole sequence off, it is tilted so that it does not.

The root parts the spec sources from the others: the spec as a whole is dealt within half a sequence of its line. Below are Huffman trees,
where a grandparent weighs at least as much as its child and grandchild together: weights on a path grow like Fibonacci numbers, so a
source's dealing is off by less than half the sum of their reciprocals, 1.68 sequences, for any number of sources (docs/stages/mixture.md
has the proof, and what tilts and debts add).
"""

import heapq
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
UNIT = 1 << 32  # quotas and debts are whole numbers of 1/UNIT sequences
MAX_SEQUENCES = 1 << 40
_LIMB = 1 << 20
_FINE = 1 << 28
_SHORT = 1 << 20  # a span so short that a rate rounded to 1/MAX_SEQUENCES is exact enough


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


Shape = int | tuple["Shape", "Shape"]  # a source, or what a node deals to


class _Sum(NamedTuple):
    """What a subtree's sources are to get of a span, added up; `fewest` and `most` are the wants rounded down and up."""

    quota: int
    want: int
    fewest: int
    most: int
    inside: "int | tuple[_Sum, _Sum]"


def dealing_shape(spec: Mapping[int, int], others: Mapping[int, int]) -> Shape:
    """Who deals to whom: a Huffman tree of the spec sources and one of the others, below a root that parts the two.

    Args:
        spec: source index -> weight; may be empty.
        others: the same of all other sources; may be empty, but not both.
    """
    sides = [_huffman(weights) for weights in (spec, others) if weights]
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def _huffman(weights: Mapping[int, int]) -> Shape:
    heap: list[tuple[int, int, Shape]] = [(weight, order, source) for order, (source, weight) in enumerate(weights.items())]
    heapq.heapify(heap)
    order = len(heap)
    while len(heap) > 1:
        (small, _, left), (large, _, right) = heapq.heappop(heap), heapq.heappop(heap)
        heapq.heappush(heap, (small + large, order, (left, right)))
        order += 1
    return heap[0][2]


def build_tree(shape: Shape, quotas: Sequence[int], wants: Sequence[int], total: int, *, down: Collection[int] = ()) -> Tree:
    """The dealing tree of a span.

    Args:
        shape: of the stage.
        quotas: (num_sources,) parts of the span by the sources' rates, in 1/UNIT sequences.
        wants: (num_sources,) what each is to come to, debts repaid, in 1/UNIT sequences. It comes to a whole number beside that.
        total: sequences of the span; what all want together, but for less than one a source.
        down: sources whose want may only be rounded down.
    """
    return _settle(_add_up(shape, quotas, wants, down), total)


def _add_up(shape: Shape, quotas: Sequence[int], wants: Sequence[int], down: Collection[int]) -> _Sum:
    if isinstance(shape, int):
        want, fewest = wants[shape], wants[shape] // UNIT
        return _Sum(quotas[shape], want, fewest, fewest if shape in down else -(-want // UNIT), shape)
    left, right = _add_up(shape[0], quotas, wants, down), _add_up(shape[1], quotas, wants, down)
    return _Sum(left.quota + right.quota, left.want + right.want, left.fewest + right.fewest, left.most + right.most, (left, right))


def _settle(whole: _Sum, total: int) -> Tree:
    """Draw the line along which a node's items are dealt: the left child's part of them, and what it wants beyond that. It begins at no
    item, and is tilted where it would end at a count that leaves a source with a whole sequence more or less than it wants."""
    if isinstance(whole.inside, int):
        return Leaf(whole.inside, total)
    left, right = whole.inside
    rise, run = _rate(left.quota, whole.quota, total)
    offset = run // 2 + ((left.want - left.quota) * run - (whole.want - whole.quota) * rise) // UNIT
    count = min(max((total * rise + offset) // run, left.fewest, total - right.most), left.most, total - right.fewest)
    offset = min(max(offset, 0), run - 1)
    end = (total * rise + offset) // run
    if end < count:
        rise = -((offset - count * run) // total)
    elif end > count:
        rise = ((count + 1) * run - 1 - offset) // total
    return Node(_settle(left, count), _settle(right, total - count), rise, run, offset, total)


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


def divided(numbers: Ints, divisor: int) -> tuple[Ints, Ints]:
    """Quotients and remainders, as `numpy.divmod` gives them, in half of its time: numpy divides by one number by multiplying.

    Args:
        numbers: (n,) to divide.
        divisor: at least 1.
    """
    quotients = numbers // divisor
    return quotients, numbers - quotients * divisor


def dealt_left(first: Ints, node: Node) -> tuple[Ints, Ints]:
    """How many of a node's first items its left child has received, and whether it receives the next one.

    Args:
        first: (n,) prefix lengths, 0 to the node's total.
        node: the node; its total is at most MAX_SEQUENCES, its run twice that.

    Returns:
        (n,) of (first * rise + offset) // run, and (n,) of what is left over; the next item goes left where that is at least run - rise.
    """
    if node.total * node.rise < 1 << 62:
        return divided(first * node.rise + node.offset, node.run)
    high, low = divmod(node.rise, _LIMB)
    quotient, remainder = divided(first * high, node.run)
    more, remainder = divided(remainder * _LIMB + first * low, node.run)
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
    counts = np.zeros((num_sources, len(first)), dtype=np.int64)

    def descend(node: Tree, items: Ints) -> None:
        if isinstance(node, Leaf):
            counts[node.source] = items
            return
        left, _ = dealt_left(items, node)
        descend(node.left, left)
        descend(node.right, items - left)

    descend(tree, first)
    return counts.T


def totals_of(tree: Tree) -> dict[int, int]:
    """Source index -> sequences of the whole span."""
    return {tree.source: tree.total} if isinstance(tree, Leaf) else totals_of(tree.left) | totals_of(tree.right)


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
        left, right = np.flatnonzero(goes_left), np.flatnonzero(~goes_left)
        descend(node.left, before[left], where[left])
        descend(node.right, items[right] - before[right], where[right])

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
