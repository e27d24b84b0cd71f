"""The mixing law of sweeps of which the law is known."""

from dataclasses import replace

import numpy as np
import pytest

from orchestrator.frontier.estimates import MixingLaw
from orchestrator.frontier.exponential import fit_exponentials
from orchestrator.frontier.frontier import build_frontier
from orchestrator.frontier.mixing_law import find_optima
from tests.frontier.worlds import LAWS, Law, World

QUIET = World(by_document=0.01, by_sequence=0.0, by_measurement=0.0, by_trial=0.0)


def law_of(world: World, *, epochs: bool = False) -> MixingLaw:
    trials = world.trials(np.random.default_rng(0))
    if epochs:
        trials = [replace(trial, spec_epochs=trial.spec_share * 20) for trial in trials]
    law = build_frontier(trials, max_forgetting=0.02, num_draws=50).law
    assert law
    return law


def test_without_noise_the_law_itself_is_found() -> None:
    world = replace(QUIET, by_document=0.0)
    law = law_of(world)
    for name, true in world.laws.items():
        found = law.sources[name]
        assert (found.c, found.k, found.t) == pytest.approx((true.c, true.k, true.t), rel=1e-3)
        assert found.rmse < 1e-5
        assert found.left_out_error is not None and found.left_out_error < 1e-4
    assert law.optimum and law.optimum.value == pytest.approx(world.optimum(), abs=1e-4)
    assert law.warnings == ()


def test_the_curve_for_a_picture_goes_from_no_spec_to_the_largest_share() -> None:
    found = law_of(QUIET).sources["spec"]
    assert (found.shares[0], found.shares[-1]) == pytest.approx((0.0, 0.3))
    assert found.losses == pytest.approx([found.c + found.k * np.exp(found.t * share) for share in found.shares])


def test_the_optimum_is_where_the_means_of_both_roles_sum_to_the_least() -> None:
    rng = np.random.default_rng(0)
    shares = np.linspace(0.0, 0.4, 9)
    curves = fit_exponentials(shares, 1 + np.exp(rng.uniform(-15, 5, (60, 1)) * shares) * rng.uniform(0.01, 0.5, (60, 1)), np.ones(9))
    is_spec = np.array([True, False, False])
    places = np.linspace(0.0, 0.4, 4001)
    by_source = curves.at(places).reshape(20, 3, -1)
    total = by_source[:, is_spec].mean(axis=1) + by_source[:, ~is_spec].mean(axis=1)
    assert find_optima(curves, is_spec, 0.4) == pytest.approx(places[total.argmin(axis=1)], abs=2e-4)


def test_a_second_general_source_like_the_first_moves_nothing() -> None:
    one, two = (law_of(replace(QUIET, by_document=0.0, laws=laws)) for laws in (LAWS, {**LAWS, "code": LAWS["web"]}))
    assert one.optimum and two.optimum and one.optimum.value == pytest.approx(two.optimum.value, abs=1e-6)


def test_an_optimum_at_the_end_says_that_it_may_lie_beyond() -> None:
    law = law_of(replace(QUIET, shares=(0.0, 0.01, 0.02, 0.03, 0.05)))
    assert law.optimum
    assert (law.optimum.value, law.optimum.low, law.optimum.high) == pytest.approx((0.05, 0.05, 0.05))
    assert any("largest share that was tried, 0.05" in words for words in law.warnings)


def test_an_optimum_below_what_was_tried_says_so() -> None:
    laws = {"spec": replace(LAWS["spec"], t=-60.0), "web": replace(LAWS["web"], k=0.3)}
    law = law_of(replace(QUIET, laws=laws, shares=(0.05, 0.1, 0.15, 0.2, 0.3)))
    assert law.optimum and law.optimum.value < 0.05
    assert any("below the smallest share that was tried, 0.05" in words for words in law.warnings)


def test_an_optimum_without_the_spec_says_so() -> None:
    laws = {"spec": replace(LAWS["spec"], k=0.001), "web": replace(LAWS["web"], k=0.3)}
    law = law_of(replace(QUIET, laws=laws))
    assert law.optimum and law.optimum.value == pytest.approx(0.0, abs=1e-9)
    assert any("The optimum is at 0, without the spec" in words and "If 0.01, the smallest" in words for words in law.warnings)


@pytest.mark.parametrize(
    ("world", "words"),
    [
        (replace(QUIET, shares=(0.0, 0.05, 0.1, 0.3)), "fitted to 4 spec shares"),
        (replace(QUIET, shares=(0.1, 0.15, 0.2, 0.25, 0.3)), "span a factor of 3 only"),
        (
            replace(QUIET, laws={**LAWS, "web": Law(role="general", c=2.8, k=0.0, t=1.0, before=2.8)}),
            "web: the fitted loss does not change",
        ),
        (replace(QUIET, laws={**LAWS, "spec": Law(role="spec", c=2.0, k=0.9, t=-900.0, before=2.9)}), "spec: t is at its bound, -3"),
        (replace(QUIET, laws={**LAWS, "web": Law(role="general", c=3.1, k=-0.3, t=-9.0, before=2.8)}), "web: c is at its bound, 0"),
    ],
)
def test_a_law_says_why_it_should_be_trusted_less(world: World, words: str) -> None:
    warnings = law_of(world).warnings
    assert any(words in warning for warning in warnings), warnings


def test_four_shares_leave_none_to_spare() -> None:
    assert law_of(replace(QUIET, shares=(0.0, 0.05, 0.1, 0.3))).sources["spec"].left_out_error is None


def test_noise_fits_no_better_than_a_straight_line() -> None:
    flat = {name: replace(law, k=0.0) for name, law in LAWS.items()}
    found = [law_of(replace(QUIET, laws=flat, by_trial=0.02, shares=tuple(np.linspace(0, 0.3, num)))) for num in (7, 8, 9, 10)]
    assert all(np.isfinite([law.sources["web"].c, law.sources["web"].k, law.sources["web"].t]).all() for law in found)
    assert any("straight line" in words or "does not change" in words for law in found for words in law.warnings)


def test_repetition_that_rises_with_the_share_is_told() -> None:
    assert any("up to 6 times. The law knows no repetition" in words for words in law_of(QUIET, epochs=True).warnings)
    assert not any("repetition" in words for words in law_of(QUIET).warnings)
