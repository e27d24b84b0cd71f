"""A set of hashes as bits: small, the same for every process that reads it, and wrong only in saying that it may hold what it does not."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.corpus.hashes import Hashes

_FEWEST, _MOST = 16, 35  # logarithms of the bits: 8 KiB to 4 GiB


@dataclass(frozen=True, slots=True)
class Bitmap:
    """Which leading bits occur among some hashes.

    Attributes:
        bits: (2^k / 8,) bytes; bit i is set if a hash has i as its k leading bits.
    """

    bits: NDArray[np.uint8]

    def might_hold(self, hashes: Hashes) -> NDArray[np.bool_]:
        """(n,) whether each of the hashes may be in the set: true for all that are, and for few that are not."""
        index = _leading(hashes, len(self.bits))
        bits: NDArray[np.uint8] = (self.bits[index >> 3] >> (index & 7).astype(np.uint8)) & 1
        return bits.view(np.bool_)


def make_bitmap(hashes: Hashes, bits_per_hash: int) -> Bitmap:
    """Put hashes into a bitmap.

    Args:
        hashes: (n,), repeats allowed.
        bits_per_hash: at least so many bits for each; one in so many, or fewer, of other hashes is taken for one of the set.

    Returns:
        A bitmap of 8 KiB or more.
    """
    exponent = min(max((len(hashes) * bits_per_hash - 1).bit_length(), _FEWEST), _MOST)
    bits = np.zeros(1 << (exponent - 3), dtype=np.uint8)
    index = _leading(hashes, len(bits))
    for place in range(8):  # with one value for all, what is written twice to a byte is the same
        bits[index[(index & 7) == place] >> 3] |= np.uint8(1 << place)
    return Bitmap(bits)


def _leading(hashes: Hashes, num_bytes: int) -> NDArray[np.int64]:
    return (hashes >> np.uint64(61 - (num_bytes.bit_length() - 1))).view(np.int64)
