"""Fits of y = c + k exp(t x) with c and k at least 0, many at once."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from orchestrator.frontier.trials import Floats

_NUM_RATES = 100  # of each sign that are tried
_SLOWEST = 1e-3  # |t| times the span of x: a straight line to within 0.1 % of its slope
_FASTEST = 5.0  # |t| times the smallest gap of x: all of it happens between two values
_STEEPEST = 100.0  # |t| times the largest x: exp does not overflow
_GOLDEN = (5**0.5 - 1) / 2
_REFINEMENTS = 24  # leave 1e-5 of a bracket


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Exponentials:
    """Curves y = c + k exp(t x).

    Attributes:
        c, k, t: of m curves.
        squares: the weighted means of squared residuals.
    """

    c: Floats
    k: Floats
    t: Floats
    squares: Floats

    def at(self, x: Floats) -> Floats:
        """(m, n) the curves at (n,) places."""
        return np.asarray(self.c[:, None] + self.k[:, None] * np.exp(self.t[:, None] * x))


def fit_exponentials(x: Floats, y: Floats, weights: Floats) -> Exponentials:
    """Fit by variable projection (Golub and Pereyra, 1973): for a rate t the best c and k have a closed form, so only t is searched for.

    It is searched on a grid of both signs, then by golden section between the neighbours of the best. So no start decides what is
    found, and nothing can diverge.

    Args:
        x: (n,) at least 0, 3 different values or more.
        y: (m, n) of m curves.
        weights: (n,), or (m, n), of the squared residuals.
    """
    w = np.broadcast_to(weights / weights.sum(axis=-1, keepdims=True), y.shape)
    slowest, fastest = rate_bounds(x)
    logs = np.linspace(np.log(slowest), np.log(fastest), _NUM_RATES)
    tried = np.concatenate([-np.exp(logs), np.exp(logs)])
    best = _on_grid(x, y, w, tried).squares.argmin(axis=1)
    sign, cell = np.sign(tried[best]), best % _NUM_RATES
    low, high = logs[np.maximum(cell - 1, 0)], logs[np.minimum(cell + 1, _NUM_RATES - 1)]
    found = _golden(lambda log: _one_each(x, y, w, sign * np.exp(log)).squares, low, high)
    return _one_each(x, y, w, sign * np.exp(found))


def rate_bounds(x: Floats) -> tuple[float, float]:
    """The smallest and the largest |t| that are tried for (n,) values of x."""
    values = np.unique(x)
    fastest = min(_FASTEST / float(np.diff(values).min()), _STEEPEST / float(values[-1]))
    return min(_SLOWEST / float(values[-1] - values[0]), fastest / 2), fastest


def _golden(function: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    """Where functions are least within (m,) brackets, by golden section; both ends are taken for higher."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in range(_REFINEMENTS):
        is_left = at_left < at_right
        low, high = np.where(is_left, low, left), np.where(is_left, right, high)
        new = np.where(is_left, high - _GOLDEN * (high - low), low + _GOLDEN * (high - low))
        at_new = function(new)
        left, right = np.where(is_left, new, right), np.where(is_left, left, new)
        at_left, at_right = np.where(is_left, at_new, at_right), np.where(is_left, at_left, at_new)
    return np.asarray((low + high) / 2)


def _on_grid(x: Floats, y: Floats, w: Floats, rates: Floats) -> Exponentials:
    """(m, r) the best curves of r rates for each of (m, n) y."""
    e = np.exp(np.multiply.outer(rates, x))
    y_mean = (w * y).sum(axis=1, keepdims=True)
    y_apart = w * (y - y_mean)
    return _best(rates, (w @ e.T, w @ np.square(e).T), (y_mean, (y_apart * (y - y_mean)).sum(axis=1, keepdims=True)), y_apart @ e.T)


def _one_each(x: Floats, y: Floats, w: Floats, rates: Floats) -> Exponentials:
    """(m,) the best curves of a rate for each of (m, n) y."""
    e = np.exp(np.multiply.outer(rates, x))
    weighted = w * e
    y_mean = (w * y).sum(axis=1)
    y_apart = y - y_mean[:, None]
    y_variance = (w * np.square(y_apart)).sum(axis=1)
    return _best(rates, (weighted.sum(axis=1), (weighted * e).sum(axis=1)), (y_mean, y_variance), (weighted * y_apart).sum(axis=1))


def _best(t: Floats, e: tuple[Floats, Floats], y: tuple[Floats, Floats], products: Floats) -> Exponentials:
    """The best c and k at least 0 for given rates: of the best line over exp(t x), or else of the best curve without c or without k.

    Args:
        t: the rates.
        e: the mean of exp(t x), and of its square.
        y: the mean of y, and its variance.
        products: the covariance of both.
    """
    (e_mean, e_square), (y_mean, y_variance) = e, y
    k = products / (e_square - e_mean**2)
    c = y_mean - k * e_mean
    k_alone = np.maximum(products + e_mean * y_mean, 0.0) / e_square
    without_c = y_variance + y_mean**2 - k_alone**2 * e_square
    is_free, is_flat = (c >= 0) & (k >= 0), y_variance < without_c
    squares = np.where(is_free, y_variance - k * products, np.minimum(without_c, y_variance))
    return Exponentials(
        c=np.where(is_free, c, np.where(is_flat, np.maximum(y_mean, 0.0), 0.0)),
        k=np.where(is_free, k, np.where(is_flat, 0.0, k_alone)),
        t=np.broadcast_to(t, k.shape),
        squares=np.maximum(squares, 0.0),
    )
