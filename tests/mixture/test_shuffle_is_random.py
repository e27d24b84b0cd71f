"""Chi-square tests over many epochs with fixed keys, so that they pass or fail the same way every time."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from orchestrator.mixture.shuffle import shuffle_key, shuffled

Table = NDArray[np.int64]
Shuffle = Callable[[int, int], Table]
SIZES = [2, 3, 4, 5, 6, 7, 8, 9, 12, 22, 64, 65, 72, 81, 1000]  # 64 is the largest that is sorted, 65 the smallest on a grid
CHANCE = 1e-4


def positions_over_epochs(size: int, num_epochs: int, first: int | None = None, key: int | None = None) -> Table:
    """(num_epochs, first) positions of the first draws of every epoch; none given: of all."""
    first = first or size
    draws = np.arange(num_epochs)[:, None] * size + np.arange(first)
    key = shuffle_key(1, "spec") if key is None else key
    return shuffled(draws.ravel(), size=size, key=key)[1].reshape(num_epochs, first)


def chance_of_marginals(table: Table) -> float:
    """That a random permutation has counts of (draw, position) at least as uneven.

    Rows and columns have fixed sums, which leaves (n-1)^2 degrees of freedom and a factor of (n-1)/n.
    """
    epochs, size = table.shape
    counts = np.array([np.bincount(column, minlength=size) for column in table.T])
    statistic = (size - 1) / epochs * np.square(counts - epochs / size).sum()
    return float(stats.chi2.sf(statistic, (size - 1) ** 2))


def chance_of_pairs(first: Table, second: Table, size: int) -> float:
    """That two draws without replacement fall on the cells of a grid at least as unevenly."""
    cells = min(size, 20)
    block = np.arange(size) * cells // size
    widths = np.bincount(block)
    expected = np.outer(widths, widths) - np.diag(widths)
    counts = np.bincount(block[first] * cells + block[second], minlength=cells * cells)
    possible = expected.ravel() > 0
    assert not counts[~possible].any()
    return float(stats.chisquare(counts[possible], expected.ravel()[possible] * len(first) / expected.sum()).pvalue)


def chance_of_differences(first: Table, second: Table, size: int) -> float:
    """That the steps from a draw to the next, around the source, are at least as uneven."""
    counts = np.bincount((second - first) % size, minlength=size)
    assert counts[0] == 0
    return float(stats.chisquare(counts[1:]).pvalue)


@pytest.mark.parametrize("size", SIZES)
def test_no_draw_of_an_epoch_prefers_a_position(size: int) -> None:
    assert chance_of_marginals(positions_over_epochs(size, max(2000, 1_000_000 // size))) > CHANCE


@pytest.mark.parametrize("size", SIZES[1:])
def test_the_first_two_draws_of_an_epoch_prefer_no_pair_of_positions(size: int) -> None:
    first, second = positions_over_epochs(size, 300_000, first=2).T
    assert chance_of_pairs(first, second, size) > CHANCE
    assert chance_of_differences(first, second, size) > CHANCE


@pytest.mark.parametrize("size", [4, 5, 7, 64, 1000])
def test_the_first_draws_of_two_epochs_in_a_row_are_independent(size: int) -> None:
    first = positions_over_epochs(size, 200_001, first=1)[:, 0]
    cells = min(size, 20)
    block = np.arange(size) * cells // size
    counts = np.bincount(block[first[:-1]] * cells + block[first[1:]], minlength=cells * cells)
    widths = np.bincount(block) / size
    assert stats.chisquare(counts, np.outer(widths, widths).ravel() * 200_000).pvalue > CHANCE


@pytest.mark.parametrize("size", [22, 1000])
def test_seeds_in_a_row_give_first_draws_that_prefer_no_position(size: int) -> None:
    firsts = [shuffled(np.zeros(1, dtype=np.int64), size=size, key=shuffle_key(seed, "spec"))[1][0] for seed in range(1000)]
    widths = np.bincount(np.arange(size) * 20 // size)
    counts = np.bincount(np.array(firsts) * 20 // size, minlength=20)
    assert stats.chisquare(counts, widths * 1000 / size).pvalue > CHANCE


def rotation(size: int, num_epochs: int) -> Table:
    return (np.random.default_rng(0).integers(0, size, (num_epochs, 1)) + np.arange(size)) % size


def chance(size: int, num_epochs: int) -> Table:
    return np.random.default_rng(0).permuted(np.tile(np.arange(size), (num_epochs, 1)), axis=1)


def one_favourite(size: int, num_epochs: int) -> Table:
    table = chance(size, num_epochs)
    swapped = table[: num_epochs // 20]
    swapped[:] = np.arange(size)
    return table


@pytest.mark.parametrize(("shuffle", "passes"), [(chance, True), (rotation, False), (one_favourite, False)])
def test_these_tests_tell_bad_shuffles_from_random_permutations(shuffle: Shuffle, passes: bool) -> None:
    table = shuffle(22, 20_000)
    assert (chance_of_marginals(table) > CHANCE) == passes
    assert (chance_of_pairs(table[:, 0], table[:, 1], 22) > CHANCE) == passes
