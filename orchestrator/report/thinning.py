"""How a long run fits into a picture: neighbouring points are joined, and a noisy line gets a smooth one."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def bucket_starts(num_points: int, most: int) -> Ints:
    """Where to cut a series into even buckets.

    Args:
        num_points: of the series, at least 1.
        most: the most buckets.

    Returns:
        The index of each bucket's first point; a bucket a point when there are few enough.
    """
    num_buckets = min(num_points, most)
    return np.arange(num_buckets, dtype=np.int64) * num_points // num_buckets


def last_of_each(values: Floats, starts: Ints) -> Floats:
    """The last value of each bucket."""
    return np.asarray(values[np.append(starts[1:], len(values)) - 1])


def farthest_of_each(values: Floats, starts: Ints) -> Floats:
    """The value farthest from zero of each bucket, so that no peak is lost."""
    high, low = np.maximum.reduceat(values, starts), np.minimum.reduceat(values, starts)
    return np.where(np.abs(high) >= np.abs(low), high, low)


def mean_of_each(values: Floats, weights: Floats, starts: Ints) -> Floats:
    """The weighted mean of each bucket; NaN where it has no weight.

    Args:
        values: (n,), NaN where the weight is 0.
        weights: (n,), at least 0.
        starts: of the buckets.
    """
    total = np.add.reduceat(weights, starts)
    return _divide(np.add.reduceat(np.where(weights > 0, values, 0.0) * weights, starts), total)


def smooth(values: Floats, weights: Floats, half_width: int) -> Floats:
    """The weighted mean of each point and so many neighbours on both sides; narrower at the ends, NaN where nothing has weight."""
    ends = np.arange(len(values))
    first, last = np.maximum(ends - half_width, 0), np.minimum(ends + half_width + 1, len(values))

    def window_sums(terms: Floats) -> Floats:
        sums = np.concatenate([[0.0], np.cumsum(terms)])
        return np.asarray(sums[last] - sums[first])

    return _divide(window_sums(np.where(weights > 0, values, 0.0) * weights), window_sums(weights))


def _divide(sums: Floats, weights: Floats) -> Floats:
    return np.asarray(np.divide(sums, weights, out=np.full(len(sums), np.nan), where=weights > 0))
