"""Fits of exponentials, many at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from orchestrator.frontier.exponential import fit_exponentials
from orchestrator.frontier.trials import Floats
from tests.frontier.hand_made import LAW

SHARES = np.array([0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3])
EVEN = np.ones(len(SHARES))
NOISE = st.integers(0, 1 << 32).map(lambda seed: np.random.default_rng(seed).standard_normal(len(SHARES)))


@LAW
@given(st.floats(0, 5), st.floats(0.01, 3), st.floats(0.5, 60), st.sampled_from([-1, 1]))
def test_a_curve_without_noise_is_found_whichever_way_it_goes(c: float, k: float, t: float, sign: int) -> None:
    k = k * np.exp(-0.3 * t) if sign > 0 else k
    curve = c + k * np.exp(sign * t * SHARES)
    fit = fit_exponentials(SHARES, curve[None], EVEN)
    assert fit.at(SHARES)[0] == pytest.approx(curve, abs=1e-5 * np.ptp(curve))
    assert fit.t[0] == pytest.approx(sign * t, rel=0.01)


@settings(LAW, max_examples=15)
@given(NOISE, st.floats(-30, 30), st.sampled_from([0.001, 0.01, 0.1, 1.0]))
def test_no_search_from_any_start_finds_a_better_one(noise: Floats, t: float, scale: float) -> None:
    losses = 2 + 0.5 * np.exp(t * SHARES - max(0.0, 0.3 * t)) + scale * 0.1 * noise
    fit = fit_exponentials(SHARES, losses[None], EVEN)

    def residuals(parameters: Floats) -> Floats:
        return np.asarray(parameters[0] + parameters[1] * np.exp(parameters[2] * SHARES) - losses)

    bounds = ([0, 0, -1 / 0.003], [np.inf, np.inf, 1 / 0.003])
    found = [least_squares(residuals, (1.5, 0.5, start), bounds=bounds, x_scale=(1, 1, 10)).cost for start in (-20.0, -2.0, 2.0, 20.0)]
    assert np.square(residuals(np.array([fit.c[0], fit.k[0], fit.t[0]]))).sum() / 2 <= min(found) * 1.01 + 1e-12


@LAW
@given(NOISE, st.floats(-1, 3), st.floats(0, 10))
def test_whatever_is_fitted_parameters_are_finite_and_neither_c_nor_k_is_below_0(noise: Floats, level: float, scale: float) -> None:
    fit = fit_exponentials(SHARES, np.stack([level + scale * noise, np.full(len(SHARES), level)]), EVEN)
    assert np.isfinite([fit.c, fit.k, fit.t, fit.squares]).all()
    assert (fit.c >= 0).all() and (fit.k >= 0).all()


@LAW
@given(NOISE, NOISE)
def test_curves_that_are_fitted_together_do_not_touch_each_other(one: Floats, other: Floats) -> None:
    both = 2 + 0.1 * np.stack([one, other])
    together = fit_exponentials(SHARES, both, EVEN)
    alone = [fit_exponentials(SHARES, row[None], EVEN) for row in both]
    assert together.at(SHARES) == pytest.approx(np.concatenate([fit.at(SHARES) for fit in alone]), abs=1e-6)


@LAW
@given(NOISE)
def test_a_weight_of_two_is_a_value_that_was_measured_twice(noise: Floats) -> None:
    losses = 2 + 0.5 * np.exp(-10 * SHARES) + 0.01 * noise
    weights = np.array([1.0, 2.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0])
    times = weights.astype(int)
    weighted = fit_exponentials(SHARES, losses[None], weights)
    repeated = fit_exponentials(np.repeat(SHARES, times), np.repeat(losses, times)[None], np.ones(times.sum()))
    assert weighted.at(SHARES) == pytest.approx(repeated.at(SHARES), abs=1e-6)


def test_shares_that_are_close_together_far_from_zero_do_not_overflow() -> None:
    shares = 0.6 + np.array([0.0, 1e-4, 2e-4, 1e-3])
    assert np.isfinite(fit_exponentials(shares, np.array([[2.0, 2.1, 2.0, 2.3]]), np.ones(4)).at(shares)).all()
