"""A number that tells what was trained: two runs that have the same one at a step have trained the same sequences up to there."""

import numpy as np
import xxhash
from numpy.typing import NDArray

BITS = 40  # so that the sum over thousands of ranks is exact in a float64


def data_checksum(first_sequence: int, tokens: NDArray[np.uint16] | NDArray[np.uint32]) -> int:
    """The sum over sequences of a hash of their number and their tokens, modulo 2^BITS: ranks may share them in any way.

    Args:
        first_sequence: the sequence number of the first row.
        tokens: (sequences, length + 1) of sequences that follow each other.
    """
    sums = (xxhash.xxh3_64_intdigest(row.astype(np.uint32).tobytes(), seed=first_sequence + index) for index, row in enumerate(tokens))
    return sum(sums) % (1 << BITS)
