"""How much the seed decides: variances pooled over all settings, and draws of what other seeds would have given."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.frontier.trials import Floats, Ints


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Component:
    """A part of the variance over seeds.

    Attributes:
        covariance: (J, J) between the J sources, of relative losses.
        freedom: the degrees of freedom that it is estimated from; 0 for a part that is not there.
    """

    covariance: Floats
    freedom: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SeedVariance:
    """What varies with the seed.

    Attributes:
        shared: what a seed does to all settings alike: it cancels between settings that have the same seeds.
        own: what is left, independent for each trial.
    """

    shared: Component
    own: Component


def seed_variance(losses: Floats, settings: Ints, seeds: Ints, by_document: Sequence[Floats]) -> SeedVariance:
    """Estimate it from all settings that have several seeds, by fitting constants (Henderson's method III; Searle et al., "Variance
    Components", 1992, chapter 5): residuals about the settings' means are split into what seeds explain and the rest.

    What a seed does to single documents is in these residuals too, and in the bootstrap over documents; it is taken off here.

    Args:
        losses: (T, J) relative losses of T trials.
        settings: (T,) the number of each trial's setting.
        seeds: (T,) the number of each trial's seed.
        by_document: of each of the J sources, (T, n) errors of its n documents, from `document_errors`.
    """
    of_setting, of_seed = _indicators(settings), _indicators(seeds)
    within = np.eye(len(losses)) - of_setting / of_setting.sum(axis=0) @ of_setting.T
    by_seed = _basis(within @ of_seed)
    shared_freedom = by_seed.shape[1]
    own_freedom = len(losses) - of_setting.shape[1] - shared_freedom
    shared_sums = _sums(by_seed.T, losses, by_document)
    own_sums = _sums(within, losses, by_document) - shared_sums
    if own_freedom == 0:  # one setting, or no seed in two of them: nothing can be told apart
        return SeedVariance(shared=_nothing(losses), own=_component(shared_sums, shared_freedom))
    if shared_freedom == 0:
        return SeedVariance(shared=_nothing(losses), own=_component(own_sums, own_freedom))
    weight = np.square(by_seed.T @ of_seed).sum()
    shared = _positive((shared_sums - own_sums * shared_freedom / own_freedom) / weight)
    return SeedVariance(shared=Component(covariance=shared, freedom=shared_freedom), own=_component(own_sums, own_freedom))


def draw_errors(variance: SeedVariance, seeds: Ints, num_draws: int, rng: np.random.Generator) -> Floats:
    """Draw what other seeds would have changed.

    Normal draws, which each draw multiplies by sqrt(v / chi2(v)) with the v degrees of freedom of a part, so that quantiles are those of
    Student's t: two seeds say little about how far seeds differ.

    Args:
        variance: of seeds.
        seeds: (T,) the number of each trial's seed.
        num_draws: how many.
        rng: of its own.

    Returns:
        (num_draws, T, J) differences of relative losses.
    """
    num_seeds = int(seeds.max()) + 1
    shared = _draw(variance.shared, num_draws, num_seeds, rng)
    own = _draw(variance.own, num_draws, len(seeds), rng)
    return np.asarray(shared[:, seeds] + own)


def _draw(part: Component, num_draws: int, num: int, rng: np.random.Generator) -> Floats:
    normal = rng.standard_normal((num_draws, num, len(part.covariance)))
    values, vectors = np.linalg.eigh(part.covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    freedom = max(part.freedom, 1)
    stretch = np.sqrt(freedom / rng.chisquare(freedom, size=(num_draws, 1, 1)))
    return np.asarray(stretch * (normal @ root))


def _sums(projection: Floats, losses: Floats, by_document: Sequence[Floats]) -> Floats:
    """(J, J) sums of products of what a projection leaves, less what documents are expected to add to them."""
    left = projection @ losses
    return np.asarray(left.T @ left - np.diag([np.square(projection @ errors).sum() for errors in by_document]))


def _component(sums: Floats, freedom: int) -> Component:
    return Component(covariance=_positive(sums / max(freedom, 1)), freedom=freedom)


def _nothing(losses: Floats) -> Component:
    return Component(covariance=np.zeros((losses.shape[1],) * 2), freedom=0)


def _positive(matrix: Floats) -> Floats:
    """The nearest matrix that is a covariance: negative eigenvalues become zero."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)


def _indicators(numbers: Ints) -> Floats:
    return np.eye(int(numbers.max()) + 1)[numbers]


def _basis(columns: Floats) -> Floats:
    """An orthonormal basis of what the columns span."""
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left[:, values > 1e-9])
