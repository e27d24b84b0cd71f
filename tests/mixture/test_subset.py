"""Sources that a run uses in part: which part it is, whoever asks, and that it is no more than was asked for."""

import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from orchestrator.errors import MixtureError
from orchestrator.mixture.interleave import Ints
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.planning import make_plan
from orchestrator.mixture.shuffle import shuffle_key, shuffled
from orchestrator.mixture.subset import Subset, subset_places, subset_positions, subset_sequences
from orchestrator.mixture.summary import summarise
from orchestrator.mixture.wishes import Ratios
from tests.mixture.mixtures import LAW, plan_of, rows, stage_of, subset_of, supply, wish

SEEDS = st.integers(0, 1 << 63)
SIZES = st.integers(1, 300)
CHANCE = 1e-4


def used(size: int, part: int, seed: int, *, epochs: int = 1) -> list[int]:
    """The positions of a source that so many epochs over a part of it train, in order."""
    plan = plan_of([stage_of([epochs * part])], sizes=[size], parts=[part], seed=seed)
    return [position for _, _, position in rows(plan)]


def positions(size: int, name: str = "spec", first: int | None = None) -> Ints:
    return subset_positions(np.arange(size if first is None else first), unique_sequences=size, source_name=name)


@LAW
@given(SIZES, st.data(), SEEDS, SEEDS)
def test_a_smaller_part_is_within_every_larger_one_whatever_the_seeds(size: int, data: st.DataObject, seed: int, other: int) -> None:
    larger = data.draw(st.integers(1, size))
    smaller = data.draw(st.integers(1, larger))
    assert set(used(size, smaller, seed)) <= set(used(size, larger, other))


@LAW
@given(st.integers(30, 300), st.data(), SEEDS, SEEDS)
def test_seeds_share_the_part_and_not_its_order(size: int, data: st.DataObject, seed: int, other: int) -> None:
    assume(seed != other)
    part = data.draw(st.integers(20, size))
    one, two = used(size, part, seed), used(size, part, other)
    assert sorted(one) == sorted(two)
    assert one != two


@LAW
@given(SIZES, st.data(), SEEDS, st.integers(1, 4))
def test_every_epoch_has_each_sequence_of_the_part_once_in_an_order_of_its_own(
    size: int, data: st.DataObject, seed: int, epochs: int
) -> None:
    part = data.draw(st.integers(1, size))
    order = np.array(used(size, part, seed, epochs=epochs)).reshape(epochs, part)
    assert all(sorted(epoch) == sorted(positions(size, "s0", part).tolist()) for epoch in order.tolist())
    assert part < 20 or len(set(map(tuple, order.tolist()))) == epochs


@LAW
@given(SIZES, st.data(), SEEDS)
def test_a_sequence_outside_of_the_part_is_never_trained_and_one_inside_when_the_look_up_says(
    size: int, data: st.DataObject, seed: int
) -> None:
    part = data.draw(st.integers(1, size))
    plan = plan_of([stage_of([2 * part])], sizes=[size], parts=[part], seed=seed)
    trained = rows(plan)
    for position in range(size):
        times = [(epoch, number) for number, (_, epoch, at) in enumerate(trained) if at == position]
        assert plan.numbers_of(0, position) == times
        assert plan.is_used(0, position) == bool(times)


@LAW
@given(SIZES, st.text(min_size=1, max_size=8))
def test_every_position_of_a_source_has_one_place_and_is_found_there(size: int, name: str) -> None:
    order = positions(size, name)
    assert sorted(order.tolist()) == list(range(size))
    assert np.array_equal(subset_places(order, unique_sequences=size, source_name=name), np.arange(size))


@pytest.mark.parametrize("size", [10**6 + 3, 10**12 + 39, 1 << 50])
def test_a_part_is_spread_evenly_over_the_source_and_not_its_head(size: int) -> None:
    quantiles = np.sort(positions(size, first=20_000)) / size
    assert np.abs(quantiles - np.arange(20_000) / 20_000).max() < 0.0158  # Kolmogorov-Smirnov at p = 1e-4


@pytest.mark.parametrize("size", [22, 1000])
def test_the_first_of_a_part_says_nothing_of_the_first_of_an_epoch(size: int) -> None:
    """Over 5,000 names: the pair of the part's first position and the epoch's first place falls on all cells alike."""
    names = [f"source {number}" for number in range(5000)]
    chosen = np.array([positions(size, name, 1)[0] for name in names])
    drawn = np.array([shuffled(np.zeros(1, dtype=np.int64), size=size, key=shuffle_key(0, name))[1][0] for name in names])
    block = np.arange(size) * 10 // size
    counts = np.bincount(block[chosen] * 10 + block[drawn], minlength=100)
    widths = np.bincount(block) / size
    assert stats.chisquare(counts, np.outer(widths, widths).ravel() * len(names)).pvalue > CHANCE


def test_the_order_of_an_epoch_goes_neither_along_the_source_nor_along_the_part() -> None:
    order = np.array(used(100_000, 4000, seed=3))
    places = subset_places(order, unique_sequences=100_000, source_name="s0")
    for ranks in (order, places):
        assert stats.spearmanr(ranks, np.arange(4000)).pvalue > CHANCE


def test_names_have_parts_of_their_own_and_no_seed_shuffles_as_a_part_is_chosen() -> None:
    orders = [positions(100, name).tolist() for name in ("spec", "code")]
    orders += [shuffled(np.arange(100), size=100, key=shuffle_key(seed, "spec"))[1].tolist() for seed in range(200)]
    assert len({tuple(order) for order in orders}) == len(orders)


@LAW
@given(st.integers(1, 500), st.data())
def test_a_part_has_as_many_whole_sequences_as_the_tokens_asked_for_by_the_mean_of_the_source(size: int, data: st.DataObject) -> None:
    whole = Subset(sequences=size, trained_tokens=data.draw(st.integers(size, 16 * size)))
    mean = Fraction(whole.trained_tokens, size)
    tokens = data.draw(st.integers(int(mean) + 1, max(int(mean) + 1, whole.trained_tokens)))
    assume(tokens <= whole.trained_tokens)
    part = subset_sequences(tokens, whole, source_name="spec")
    assert 1 <= part <= size
    assert part * mean <= tokens < (part + 1) * mean
    assert subset_sequences(whole.trained_tokens, whole, source_name="spec") == size


@pytest.mark.parametrize(
    ("tokens", "said", "remedy"),
    [
        (1201, "mixture.unique_tokens.spec=1,201 is more than source 'spec' has: 1,200 trained tokens. Lower it to that", 1200),
        (7, "mixture.unique_tokens.spec=7 is less than a sequence of source 'spec', of 7.5 trained tokens on average. Raise it to 8", 8),
    ],
)
def test_more_than_a_source_has_and_less_than_a_sequence_are_refused_with_a_number_that_works(tokens: int, said: str, remedy: int) -> None:
    whole = Subset(sequences=160, trained_tokens=1200)
    with pytest.raises(MixtureError, match=re.escape(said)):
        subset_sequences(tokens, whole, source_name="spec")
    assert subset_sequences(remedy, whole, source_name="spec") in (1, 160)


def planned(part: Subset | None, *, max_epochs: float = 9.0, source_epochs: float | None = None) -> Plan:
    spec = replace(supply("spec", role="spec", unique=100, max_epochs=max_epochs), subset=part)
    asked = wish(0.25) if source_epochs is None else wish(source_epochs={"spec": source_epochs})
    return make_plan([spec, supply("web")], [asked], total_tokens=8 * 400, sequence_length=8, sequences_per_step=4, seed=0)


def test_a_part_changes_what_is_drawn_of_a_source_and_neither_its_share_nor_when() -> None:
    whole, part = planned(None), planned(subset_of(20))
    assert (whole.sequences, part.sequences) == ([100, 300], [100, 300])
    assert [(name, name == "web" and at) for name, _, at in rows(whole)] == [(name, name == "web" and at) for name, _, at in rows(part)]


def test_shares_are_of_the_tokens_that_the_part_carries_and_not_of_the_mean_of_the_source() -> None:
    plan = planned(subset_of(20, 4))
    spec, web = summarise(plan)["sources"]
    assert (spec["sequences"], web["sequences"]) == (160, 240)  # 4 x 160 tokens beside 8 x 240
    assert spec["share"] == pytest.approx(0.25)
    assert (spec["unique_tokens"], spec["whole_tokens"], spec["epochs"]) == (80, 800, 8)
    assert "whole_tokens" not in web


def test_epochs_and_their_cap_are_of_the_part() -> None:
    assert planned(subset_of(20), source_epochs=2.5).sequences[0] == 50
    with pytest.raises(MixtureError, match=r"'spec' has 160 unique tokens; ratio 0\.25 .* needs 5\.00 epochs, over .*raise the cap to 5\."):
        planned(subset_of(20), max_epochs=4)
    assert planned(subset_of(20), max_epochs=5).sequences[0] == 100


def test_the_ratios_that_a_refusal_names_are_of_the_tokens_that_the_part_carries() -> None:
    ratios = Ratios(by_source={"spec": Fraction(1, 2), "web": Fraction(1, 2)})
    spec = replace(supply("spec", role="spec", unique=100, max_epochs=1.0), subset=subset_of(20, 4))
    with pytest.raises(MixtureError, match=r"ratio 0\.5 of .* Lower its ratio to 0\.") as caught:
        make_plan([spec, supply("web")], [wish(ratios)], total_tokens=8 * 60, sequence_length=8, sequences_per_step=1, seed=0)
    (lower,) = re.findall(r"Lower its ratio to ([\d.]+\d)", str(caught.value))
    share = Fraction(lower)
    fewer = Ratios(by_source={"spec": share, "web": 1 - share})
    plan = make_plan([spec, supply("web")], [wish(fewer)], total_tokens=8 * 60, sequence_length=8, sequences_per_step=1, seed=0)
    assert plan.sequences[0] == 20
