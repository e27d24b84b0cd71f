"""Which settings are worth having: the Pareto set of uptake against forgetting, and its knee."""

import numpy as np
from numpy.typing import NDArray

from orchestrator.frontier.trials import Floats, Ints

Flags = NDArray[np.bool_]


def pareto_set(uptake: Floats, forgetting: Floats) -> Flags:
    """Which points no other one dominates.

    A point dominates another when it is at least as good in both and better in one: more uptake is better, and less forgetting. Points at
    the same place do not dominate each other.

    Args:
        uptake, forgetting: (R, P) of P points, in R rows that are looked at each by itself.

    Returns:
        (R, P) whether each is in the set.
    """
    dominated = np.empty(uptake.shape, dtype=np.bool_)
    for point in range(uptake.shape[1]):
        more, less = uptake - uptake[:, point : point + 1], forgetting - forgetting[:, point : point + 1]
        dominated[:, point] = ((more >= 0) & (less <= 0) & ((more > 0) | (less < 0))).any(axis=1)
    return ~dominated


def find_knees(uptake: Floats, forgetting: Floats, is_on_front: Flags) -> Ints:
    """The knee of each row's Pareto set: where more uptake begins to cost most.

    Both coordinates are put on the set's range, 0 to 1, where the line between its ends is the diagonal; the knee is the point that is
    farthest above it (Satopaa et al., "Finding a 'Kneedle' in a Haystack", 2011, without its smoothing).

    Args:
        uptake, forgetting: (R, P) of P points.
        is_on_front: (R, P) from `pareto_set`.

    Returns:
        (R,) its number among the points; -1 where none is above the line, as with fewer than three points.
    """
    height = _on_range(uptake, is_on_front) - _on_range(forgetting, is_on_front)
    height[~is_on_front] = -np.inf
    best = height.argmax(axis=1)
    return np.where(height.max(axis=1) > 1e-12, best, -1)


def _on_range(values: Floats, chosen: Flags) -> Floats:
    low = np.where(chosen, values, np.inf).min(axis=1, keepdims=True)
    high = np.where(chosen, values, -np.inf).max(axis=1, keepdims=True)
    return np.asarray((values - low) / np.where(high > low, high - low, 1.0))
