"""What the seed decides, estimated from seeds that are known to differ by so much."""

import numpy as np
import pytest

from orchestrator.frontier.documents import document_errors, sum_documents
from orchestrator.frontier.seeds import SeedVariance, draw_errors, seed_variance
from orchestrator.frontier.trials import Floats, Ints
from tests.frontier.hand_made import losses_of

SHARED = np.array([[0.04, 0.01], [0.01, 0.01]])
OWN = np.array([[0.02, -0.01], [-0.01, 0.03]])


def no_documents(losses: Floats) -> list[Floats]:
    """As where every source has one document: nothing is known of what they do."""
    return [np.zeros((len(losses), 1))] * losses.shape[1]


def variance_of(losses: Floats, settings: list[int] | Ints, seeds: list[int] | Ints) -> SeedVariance:
    return seed_variance(losses, np.array(settings), np.array(seeds), no_documents(losses))


def grid(num_settings: int, num_seeds: int) -> tuple[Ints, Ints]:
    return np.repeat(np.arange(num_settings), num_seeds), np.tile(np.arange(num_seeds), num_settings)


def losses_with(shared: Floats, own: Floats, settings: Ints, seeds: Ints, rng: np.random.Generator) -> Floats:
    by_seed = rng.multivariate_normal(np.zeros(2), shared, seeds.max() + 1)
    levels = rng.normal(1, 1, (settings.max() + 1, 2))
    return np.asarray(levels[settings] + by_seed[seeds] + rng.multivariate_normal(np.zeros(2), own, len(seeds)))


@pytest.mark.parametrize("keep", [slice(None), [0, 1, 2, 3, 5, 6, 8, 9, 10, 11, 12, 13, 15, 16, 18, 19, 20, 21, 22, 23]])
def test_the_estimates_are_right_in_the_mean_also_where_seeds_are_missing(keep: slice | list[int]) -> None:
    settings, seeds = (numbers[keep] for numbers in grid(6, 4))
    rng = np.random.default_rng(0)
    found = [variance_of(losses_with(SHARED, OWN, settings, seeds, rng), settings, seeds) for _ in range(2000)]
    assert np.mean([part.own.covariance for part in found], axis=0) == pytest.approx(OWN, abs=0.001)
    assert np.mean([part.shared.covariance for part in found], axis=0) == pytest.approx(SHARED, abs=0.004)
    assert (found[0].shared.freedom, found[0].own.freedom) == (3, len(settings) - 6 - 3)


def test_what_a_seed_does_to_all_settings_is_not_taken_for_their_own() -> None:
    settings, seeds = grid(5, 2)
    losses = losses_with(SHARED, np.zeros((2, 2)), settings, seeds, np.random.default_rng(1))
    found = variance_of(losses, settings, seeds)
    assert found.own.covariance == pytest.approx(np.zeros((2, 2)), abs=1e-12)
    assert np.trace(found.shared.covariance) > 1e-4


@pytest.mark.parametrize(("settings", "seeds"), [([0, 1, 2], [0, 0, 0]), ([0, 1, 2], [0, 1, 2])])
def test_one_seed_a_setting_says_nothing(settings: list[int], seeds: list[int]) -> None:
    found = variance_of(np.random.default_rng(0).normal(size=(3, 2)), settings, seeds)
    assert (found.shared.freedom, found.own.freedom) == (0, 0)
    assert not draw_errors(found, np.array(seeds), 10, np.random.default_rng(0)).any()


@pytest.mark.parametrize(("settings", "seeds"), [([0, 0, 1], [0, 1, 0]), ([0, 0, 1, 1], [0, 1, 2, 3])])
def test_where_no_seed_repeats_all_that_seeds_do_counts_as_the_settings_own(settings: list[int], seeds: list[int]) -> None:
    losses = np.array([[1.0, 1.0], [1.2, 1.0], [2.0, 3.0], [2.2, 3.0]])[: len(seeds)]
    found = variance_of(losses, settings, seeds)
    assert found.own.covariance == pytest.approx(np.array([[0.02, 0.0], [0.0, 0.0]]))
    assert not found.shared.covariance.any()


def test_what_a_seed_does_to_single_documents_is_left_to_the_bootstrap_over_documents() -> None:
    settings, seeds = grid(6, 3)
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        ratios = np.repeat(rng.normal(0.8, 0.1, (6, 50)), 3, axis=0) + rng.normal(
            0, 0.1, (18, 50)
        )  # no seed does anything but to documents
        errors = document_errors(sum_documents([losses_of("spec", row.tolist()) for row in ratios]))
        found.append(
            [seed_variance(ratios.mean(axis=1)[:, None], settings, seeds, taken).own.covariance for taken in ([errors], [0 * errors])]
        )
    taken_off, left_in = np.mean(found, axis=0).ravel()
    assert left_in == pytest.approx(0.1**2 / 50, rel=0.05)
    assert taken_off < 0.2 * left_in  # not nothing, as a variance is not below 0


def test_draws_of_two_seeds_have_the_quantiles_of_students_t() -> None:
    found = variance_of(np.array([[1.0], [1.2]]), [0, 0], [0, 1])
    errors = draw_errors(found, np.array([0, 1]), 200_000, np.random.default_rng(0)).mean(axis=1)
    assert np.quantile(errors, 0.95) == pytest.approx(6.314 * 0.1, rel=0.03)  # t with 1 degree of freedom times the standard error


def test_what_seeds_share_cancels_between_settings_and_not_between_seeds() -> None:
    shared_alone = SeedVariance(
        shared=variance_of(np.array([[1.0], [1.2], [2.0], [2.2]]), [0, 0, 1, 1], [0, 1, 0, 1]).shared,
        own=variance_of(np.array([[1.0]]), [0], [0]).own,
    )
    errors = draw_errors(shared_alone, np.array([0, 1, 0, 1]), 100, np.random.default_rng(0))
    assert errors[:, 0] == pytest.approx(errors[:, 2])
    assert np.abs(errors[:, 0] - errors[:, 1]).min() > 0
