"""64-bit hashes of words, of runs of words and of n-grams, by arithmetic on whole arrays: no loop over words.

A word, or a run of words, is a sum over its pieces of a strong mixer applied to (piece, position); an n-gram is a polynomial in its
words' hashes modulo 2^64, built by doubling: H(2n) at i is H(n) at i times B^n plus H(n) at i+n.
"""

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]
PADDING = 8  # bytes that must follow the last word
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_BASE = 0xD1342543DE82EF95  # odd, and 5 modulo 8, so that no short power of it is near 1
_MASKS = np.array([2 ** (8 * length) - 1 for length in range(9)], dtype=np.uint64)


def mix(values: Hashes) -> Hashes:
    """The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): every input bit reaches every output bit."""
    mixed = values ^ (values >> np.uint64(30))
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def hash_byte_spans(data: NDArray[np.uint8], starts: Ints, ends: Ints) -> Hashes:
    """Hash spans of bytes, eight bytes at a time.

    Args:
        data: the bytes, none of a span 0, with PADDING more after the last span.
        starts, ends: (n,) byte offsets, each span at least one byte long.

    Returns:
        (n,) hashes. Spans of at most eight bytes have different hashes unless they are equal.
    """
    blocks: Hashes = np.ndarray(len(data) - 7, "<u8", data, strides=(1,))
    hashes = mix((blocks[starts] & _MASKS[np.minimum(ends - starts, 8)]) + _GOLDEN)
    long = np.flatnonzero(ends - starts > 8)
    further = (ends[long] - starts[long] - 1) >> 3
    owners, positions = places(further)
    offsets = starts[long][owners] + 8 * (positions + 1)
    pieces = blocks[offsets] & _MASKS[np.minimum(ends[long][owners] - offsets, 8)]
    hashes[long] += _sums(mix(pieces + (positions + 2).astype(np.uint64) * _GOLDEN), further)
    return hashes


def hash_runs(hashes: Hashes, first: Ints, lengths: Ints) -> Hashes:
    """Hash runs of consecutive words of any lengths.

    Args:
        hashes: (num_words,) of the words.
        first: (n,) each run's first word.
        lengths: (n,) words in each run, at least 1.

    Returns:
        (n,) hashes.
    """
    owners, positions = places(lengths)
    return mix(_sums(mix(hashes[first[owners] + positions] + (positions + 1).astype(np.uint64) * _GOLDEN), lengths))


def hash_ngrams(hashes: Hashes, n: int) -> Hashes:
    """Hash every n consecutive words.

    Args:
        hashes: (num_words,) of the words.
        n: words in an n-gram, 1 to 16: the polynomial is weak on longer ones that repeat a few words.

    Returns:
        (num_words - n + 1,) hashes, none if there are fewer than n words.
    """
    assert 1 <= n <= 16
    if len(hashes) < n:
        return hashes[:0]
    rolled, width = hashes, 1
    for bit in f"{n:b}"[1:]:
        rolled, later = rolled[:-width] * _power(width), rolled[width:]
        rolled += later
        width *= 2
        if bit == "1":
            rolled = rolled[:-1] + hashes[width:] * _power(width)
            width += 1
    return mix(rolled)


def places(lengths: Ints) -> tuple[Ints, Ints]:
    """Lay runs one after another.

    Args:
        lengths: (n,) of the runs; 0 is allowed.

    Returns:
        (sum of lengths,) which run each place belongs to, and (sum of lengths,) its position in that run.
    """
    owners = np.repeat(np.arange(len(lengths)), lengths)
    return owners, np.arange(len(owners)) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _sums(terms: Hashes, lengths: Ints) -> Hashes:
    return np.add.reduceat(terms, np.cumsum(lengths) - lengths) if len(lengths) else terms[:0]


def _power(exponent: int) -> np.uint64:
    return np.uint64(pow(_BASE, exponent, 1 << 64))
