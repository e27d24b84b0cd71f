"""The data mixing law: each source's loss as a function of the spec share, and the share at which both roles together lose least."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from orchestrator.frontier.draws import Draws, estimate
from orchestrator.frontier.estimates import MixingLaw, SourceLaw
from orchestrator.frontier.exponential import Exponentials, fit_exponentials
from orchestrator.frontier.law_warnings import law_warnings
from orchestrator.frontier.settings import Group
from orchestrator.frontier.trials import Floats

FEWEST_SHARES = 4
_CURVE_POINTS = 61
_HALVINGS = 50


def fit_mixing_law(line: Sequence[Group], draws: Draws) -> MixingLaw:
    """Fit L = c + k exp(t r) to each source, where r is the spec share.

    The law of Ye et al., "Data Mixing Laws", 2024 (arXiv 2403.16952), is L_i = c_i + k_i exp(sum over j of t_ij r_j) with the shares r_j of
    all sources. When only the spec share r moves, and the sources of each side keep their weights w_j within it, the sum is
    r sum_spec(t_ij w_j) + (1 - r) sum_general(t_ij w_j): t r and a constant, which k takes in. So t is what the spec does less what the
    rest does that it takes the place of. As in the paper, c is a loss that no mixture undercuts and k is positive; neither is below 0.

    Args:
        line: settings that differ in their share alone, by rising share, with FEWEST_SHARES different ones or more.
        draws: of all trials; the law is fitted again in each.

    Returns:
        The fits, and as optimum the share, from 0 to the largest that was tried, at which the mean relative loss of the spec's sources and
        that of the general ones sum to the least: a hundredth of the one is worth a hundredth of the other.
    """
    shares = np.array([group.spec_share for group in line])
    weights = np.array([len(group.members) for group in line], dtype=np.float64)
    losses = np.stack([draws.of(group.members) for group in line], axis=-1)
    curves = fit_exponentials(shares, losses.reshape(-1, len(line)), weights)
    optima = find_optima(curves, draws.is_spec, float(shares[-1]))
    measured = dict(zip(draws.sources, losses[0] * draws.before[:, None], strict=True))
    laws = {name: _source_law(shares, values, weights) for name, values in measured.items()}
    return MixingLaw(
        sources=laws,
        optimum=estimate(optima, may_agree=draws.is_drawn),
        warnings=tuple(law_warnings(line, laws, measured, float(optima[0]))),
    )


def find_optima(curves: Exponentials, is_spec: NDArray[np.bool_], largest: float) -> Floats:
    """The shares at which the mean of the spec's curves and that of the general ones sum to the least.

    With k at least 0 the sum is convex in the share: its slope only rises, and is halved in on.

    Args:
        curves: relative losses of R rows of J sources, one row after the other.
        is_spec: (J,) of which role each source is.
        largest: the end of the range, which begins at 0.

    Returns:
        (R,) shares.
    """
    parts = np.where(is_spec, 1 / is_spec.sum(), 1 / (~is_spec).sum())
    rates = curves.t.reshape(-1, len(parts))
    rises = curves.k.reshape(-1, len(parts)) * rates * parts
    low, high = np.zeros(len(rises)), np.full(len(rises), largest)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        is_past = np.sum(rises * np.exp(rates * middle[:, None]), axis=1) > 0
        low, high = np.where(is_past, low, middle), np.where(is_past, middle, high)
    return np.asarray((low + high) / 2)


def _source_law(shares: Floats, losses: Floats, weights: Floats) -> SourceLaw:
    """The law of (n,) losses in nats a token."""
    law = fit_exponentials(shares, losses[None], weights)
    places = np.linspace(0.0, shares[-1], _CURVE_POINTS)
    return SourceLaw(
        c=float(law.c[0]),
        k=float(law.k[0]),
        t=float(law.t[0]),
        rmse=_root_mean_square(law.at(shares)[0] - losses),
        left_out_error=_left_out_error(shares, losses, weights),
        shares=tuple(places.tolist()),
        losses=tuple(law.at(places)[0].tolist()),
    )


def _left_out_error(shares: Floats, losses: Floats, weights: Floats) -> float | None:
    """The root mean square of the errors at each setting, of a fit to the others; none when they have too few shares for one to spare."""
    if len(np.unique(shares)) <= FEWEST_SHARES:
        return None
    num = len(shares)
    laws = fit_exponentials(shares, np.tile(losses, (num, 1)), weights * (1 - np.eye(num)))
    return _root_mean_square(np.diagonal(laws.at(shares)) - losses)


def _root_mean_square(errors: Floats) -> float:
    return float(np.sqrt(np.square(errors).mean()))
