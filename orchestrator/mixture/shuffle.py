"""A keyed pseudo-random permutation of a source's sequences, one for each epoch, with no table.

A generalised Feistel network on a grid of a x b cells, the smallest near-square grid that holds the sequences (Black and Rogaway,
"Ciphers with Arbitrary Finite Domains", CT-RSA 2002): a position is a (row, column) pair, each round adds a keyed hash of one to the
other, and a result that falls outside the source is sent through again (cycle walking). Few are: the grid exceeds the source by less
than one row. On a grid of a few cells the rounds cannot reach every order evenly, so a source of at most SMALL sequences is shuffled by
sorting keyed hashes instead.
"""

import math

import numpy as np
import xxhash
from numpy.typing import NDArray

from orchestrator.mixture.interleave import Ints, divided

Keys = NDArray[np.uint64]
ROUNDS = 8
SMALL = 64
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def shuffle_key(seed: int, source_name: str) -> int:
    """A source's shuffling key: of the seed and the source's name, so that adding a source changes no other's order."""
    return xxhash.xxh3_64_intdigest(f"{seed}/{source_name}".encode())


def shuffled(draws: Ints, *, size: int, key: int) -> tuple[Ints, Ints]:
    """Where in its source each draw comes from.

    Args:
        draws: (n,) how-manieth draws of the source, from 0 and past its size into later epochs.
        size: sequences in one epoch of the source, at least 1.
        key: the source's `shuffle_key`.

    Returns:
        (n,) epochs from 0, and (n,) positions within the epoch; over one epoch the positions are a permutation of 0 … size-1.
    """
    epochs, indices = divided(np.asarray(draws, dtype=np.int64), size)
    keys = _keys(epochs, key)
    if size <= SMALL:
        return epochs, _sorted(indices, keys, size)
    columns = math.isqrt(size - 1) + 1
    rows = -(-size // columns)
    positions = _feistel(indices, keys, rows, columns)
    outside = np.flatnonzero(positions >= size)
    while len(outside):
        positions[outside] = _feistel(positions[outside], keys[outside], rows, columns)
        outside = outside[positions[outside] >= size]
    return epochs, positions


def unshuffled(positions: Ints, *, epoch: int, size: int, key: int) -> Ints:
    """At which draw of its source each position of an epoch comes: the inverse of `shuffled`.

    Args:
        positions: (n,) positions within the epoch.
        epoch: from 0.
        size: sequences in one epoch of the source, at least 1.
        key: the source's `shuffle_key`.

    Returns:
        (n,) draws, from epoch * size.
    """
    keys = _keys(np.full(len(positions), epoch), key)
    if size <= SMALL:
        order = _sorted(np.arange(size), np.resize(keys, size), size)
        return epoch * size + np.argsort(order)[positions]
    columns = math.isqrt(size - 1) + 1
    rows = -(-size // columns)
    indices = _feistel(positions, keys, rows, columns, backwards=True)
    outside = np.flatnonzero(indices >= size)
    while len(outside):
        indices[outside] = _feistel(indices[outside], keys[outside], rows, columns, backwards=True)
        outside = outside[indices[outside] >= size]
    return epoch * size + indices


def _keys(epochs: Ints, key: int) -> Keys:
    """(n,) a key for each epoch."""
    if not len(epochs):
        return np.empty(0, dtype=np.uint64)
    first, last = int(epochs.min()), int(epochs.max())
    keys = _mix(np.arange(first, last + 1, dtype=np.uint64) * _GOLDEN + np.uint64(key))
    return np.broadcast_to(keys, epochs.shape) if first == last else keys[epochs - first]


def _sorted(indices: Ints, keys: Keys, size: int) -> Ints:
    """The position with the i-th smallest hash of its epoch, for each index i."""
    distinct, epoch_of = np.unique(keys, return_inverse=True)
    hashes = _mix(distinct[:, None] + np.arange(1, size + 1, dtype=np.uint64) * _GOLDEN)
    return np.argsort(hashes, axis=1, kind="stable")[epoch_of, indices]


def _feistel(cells: Ints, keys: Keys, rows: int, columns: int, *, backwards: bool = False) -> Ints:
    """Every round works in place, on arrays that lie in the processor's cache."""
    row, column = (part.view(np.uint64) for part in divided(cells, columns))
    for number in reversed(range(ROUNDS)) if backwards else range(ROUNDS):
        moving, still, width = (row, column, np.uint64(rows)) if number % 2 == 0 else (column, row, np.uint64(columns))
        step = _below(width, still, keys, number)
        moving += np.subtract(width, step, out=step) if backwards else step
        np.minimum(moving, np.subtract(moving, width, out=step), out=moving)  # below zero wraps to what is very large
    row *= np.uint64(columns)
    row += column
    return row.view(np.int64)


def _below(width: np.uint64, values: Keys, keys: Keys, number: int) -> Keys:
    """A keyed hash of values, evenly spread over 0 … width-1: the upper half of a product's bits, scaled (Lemire, "Fast Random Integer
    Generation in an Interval", 2019)."""
    hashes = values + (np.uint64(number + 1) << np.uint64(56))
    hashes *= _GOLDEN
    hashes ^= keys
    hashes ^= hashes >> np.uint64(29)
    hashes *= np.uint64(0xBF58476D1CE4E5B9)
    hashes >>= np.uint64(32)
    hashes *= width
    hashes >>= np.uint64(32)
    return hashes


def _mix(values: Keys) -> Keys:
    """The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): every input bit reaches every output bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
