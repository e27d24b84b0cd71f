"""A source's order: a permutation in every epoch, another one each time, and nothing that tells it from chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.mixture.shuffle import shuffle_key, shuffled, unshuffled
from tests.mixture.mixtures import LAW

KEYS = st.integers(0, (1 << 64) - 1)
LARGE = [(1 << 20) - 1, (1 << 32) + 1, 10**12 + 39, 1 << 40, (1 << 50) + 1]


@LAW
@given(st.integers(1, 300), st.integers(0, 5), KEYS)
def test_every_position_of_the_source_comes_exactly_once_in_every_epoch(size: int, epoch: int, key: int) -> None:
    epochs, positions = shuffled(np.arange(epoch * size, (epoch + 1) * size), size=size, key=key)
    assert sorted(positions.tolist()) == list(range(size))
    assert set(epochs.tolist()) == {epoch}


@pytest.mark.parametrize("size", [*range(1, 130), 1023, 1024, 1025, 65535, 65536, 65537, 99991])
def test_squares_primes_and_their_neighbours_are_permuted_too(size: int) -> None:
    _, positions = shuffled(np.arange(size), size=size, key=3)
    assert np.array_equal(np.sort(positions), np.arange(size))


@pytest.mark.parametrize("size", LARGE)
def test_positions_of_a_huge_source_are_within_it_and_never_the_same_twice(size: int) -> None:
    some = np.random.default_rng(0).integers(0, size, 50_000)
    draws = np.unique(np.concatenate([some, [0, 1, size - 2, size - 1]]))
    epochs, positions = shuffled(draws, size=size, key=5)
    assert not epochs.any()
    assert positions.min() >= 0
    assert positions.max() < size
    assert len(np.unique(positions)) == len(draws)


@pytest.mark.parametrize("size", LARGE)
def test_positions_of_a_huge_source_spread_evenly_over_it(size: int) -> None:
    _, positions = shuffled(np.arange(20_000), size=size, key=5)
    quantiles = np.sort(positions) / size
    assert np.abs(quantiles - np.arange(20_000) / 20_000).max() < 0.0158  # Kolmogorov-Smirnov at p = 1e-4


@LAW
@given(st.integers(1, 60), KEYS, st.lists(st.integers(0, 600), max_size=40))
def test_a_draw_has_the_same_place_whatever_is_asked_with_it(size: int, key: int, draws: list[int]) -> None:
    epochs, positions = shuffled(np.arange(601), size=size, key=key)
    some_epochs, some_positions = shuffled(np.array(draws, dtype=np.int64), size=size, key=key)
    assert np.array_equal(some_epochs, epochs[draws])
    assert np.array_equal(some_positions, positions[draws])


@LAW
@given(st.integers(1, 300), st.integers(0, 5) | st.integers(0, 1 << 20), KEYS)
def test_unshuffled_finds_the_draw_of_every_position(size: int, epoch: int, key: int) -> None:
    draws = np.arange(epoch * size, (epoch + 1) * size)
    _, positions = shuffled(draws, size=size, key=key)
    assert np.array_equal(unshuffled(positions, epoch=epoch, size=size, key=key), draws)
    some = positions[::-3]
    assert np.array_equal(unshuffled(some, epoch=epoch, size=size, key=key), draws[::-3])


@pytest.mark.parametrize("epoch", [0, 1, 3, 1000])
@pytest.mark.parametrize("size", [64, 65, 99_991, *LARGE])
def test_unshuffled_finds_the_draws_of_a_huge_source_in_any_epoch(size: int, epoch: int) -> None:
    draws = epoch * size + np.unique(np.random.default_rng(1).integers(0, size, 5000))
    epochs, positions = shuffled(draws, size=size, key=7)
    assert set(epochs.tolist()) == {epoch}
    assert np.array_equal(unshuffled(positions, epoch=epoch, size=size, key=7), draws)


def order(size: int, seed: int, name: str, epoch: int = 0) -> list[int]:
    positions: list[int] = shuffled(np.arange(size) + epoch * size, size=size, key=shuffle_key(seed, name))[1].tolist()
    return positions


@LAW
@given(st.integers(30, 200), st.integers(0, 1 << 62), st.integers(1, 1 << 40))
def test_seeds_sources_and_epochs_that_differ_give_orders_that_differ(size: int, seed: int, further: int) -> None:
    orders = [
        list(range(size)),
        order(size, seed, "spec"),
        order(size, seed + further, "spec"),
        order(size, seed, "code"),
        order(size, seed, "spec", epoch=1),
        order(size, seed, "spec", epoch=2),
        order(size, seed, "code", epoch=1),
    ]
    assert len({tuple(one) for one in orders}) == len(orders)
