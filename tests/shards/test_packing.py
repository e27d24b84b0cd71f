"""Best-fit packing: every token once, no document cut that fits, no sequence too full, and hardly any room left."""

import time
from itertools import pairwise

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.shards.packing import Packing, pack

LENGTHS = st.lists(st.integers(1, 40), max_size=60)
CAPACITIES = st.integers(1, 30)


def packed(lengths: list[int], capacity: int) -> Packing:
    return pack(np.array(lengths, dtype=np.int64), capacity)


def sequences_of(packing: Packing) -> list[list[tuple[int, int]]]:
    """The (start, length) pairs of each sequence."""
    pairs = list(zip(packing.starts.tolist(), packing.lengths.tolist(), strict=True))
    return [pairs[first:end] for first, end in pairwise(packing.first_pieces.tolist())]


@settings(deadline=None)
@given(LENGTHS, CAPACITIES)
def test_every_token_is_in_exactly_one_place(lengths: list[int], capacity: int) -> None:
    found = [token for sequence in sequences_of(packed(lengths, capacity)) for start, n in sequence for token in range(start, start + n)]
    assert sorted(found) == list(range(sum(lengths)))


@settings(deadline=None)
@given(LENGTHS, CAPACITIES)
def test_no_sequence_is_empty_or_holds_more_than_it_can(lengths: list[int], capacity: int) -> None:
    assert all(0 < sum(n for _, n in sequence) <= capacity for sequence in sequences_of(packed(lengths, capacity)))


@settings(deadline=None)
@given(LENGTHS, CAPACITIES)
def test_a_document_that_fits_is_not_cut_and_a_longer_one_is_cut_into_full_pieces_and_a_rest(lengths: list[int], capacity: int) -> None:
    packing = packed(lengths, capacity)
    pieces = dict(zip(packing.starts.tolist(), packing.lengths.tolist(), strict=True))
    expected = {
        start + offset: min(capacity, length - offset)
        for start, length in zip(np.cumsum([0, *lengths]).tolist(), lengths, strict=False)
        for offset in range(0, length, capacity)
    }
    assert pieces == expected
    assert packing.cut_documents == len([length for length in lengths if length > capacity])


@settings(deadline=None)
@given(LENGTHS, CAPACITIES)
def test_no_two_sequences_would_go_into_one(lengths: list[int], capacity: int) -> None:
    fullness = sorted(sum(n for _, n in sequence) for sequence in sequences_of(packed(lengths, capacity)))
    assert len(fullness) < 2 or fullness[0] + fullness[1] > capacity


def best_fit_decreasing(lengths: list[int], capacity: int) -> list[int]:
    """How full each sequence gets, by the definition."""
    pieces = [min(capacity, length - offset) for length in lengths for offset in range(0, length, capacity)]
    full: list[int] = []
    for piece in sorted(pieces, reverse=True):
        fitting = [index for index, tokens in enumerate(full) if tokens + piece <= capacity]
        if fitting:
            full[max(fitting, key=lambda index: full[index])] += piece
        else:
            full.append(piece)
    return sorted(full)


@settings(deadline=None)
@given(LENGTHS, CAPACITIES)
@example([4, 3, 3, 4, 3, 3], 10)  # first fit needs one sequence less here: best fit is no optimum
def test_sequences_are_as_full_as_best_fit_decreasing_makes_them(lengths: list[int], capacity: int) -> None:
    fullness = sorted(sum(n for _, n in sequence) for sequence in sequences_of(packed(lengths, capacity)))
    assert fullness == best_fit_decreasing(lengths, capacity)


def first_fit(lengths: list[int], capacity: int) -> int:
    """How many sequences first fit needs."""
    rooms: list[int] = []
    for piece in [min(capacity, length - offset) for length in lengths for offset in range(0, length, capacity)]:
        index = next((index for index, room in enumerate(rooms) if room >= piece), len(rooms))
        rooms[index : index + 1] = [(rooms[index] if index < len(rooms) else capacity) - piece]
    return len(rooms)


def documents(seed: int, count: int) -> list[int]:
    """Lengths as of web documents: log-normal, a median of 540 tokens."""
    return [max(1, int(length)) for length in np.random.default_rng(seed).lognormal(6.3, 1.1, count)]


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), count=st.integers(50, 400), capacity=st.sampled_from([257, 1025, 2049]))
def test_documents_as_they_come_need_no_more_sequences_than_first_fit(seed: int, count: int, capacity: int) -> None:
    lengths = documents(seed, count)
    assert packed(lengths, capacity).num_sequences <= first_fit(lengths, capacity)


def test_many_documents_leave_less_than_a_thousandth_empty_and_take_a_second_a_hundred_thousand() -> None:
    lengths = documents(0, 100_000)
    began = time.process_time()
    packing = packed(lengths, 2049)
    assert time.process_time() - began < 1.0
    assert sum(lengths) / (packing.num_sequences * 2049) > 0.999


def test_no_document_makes_no_sequence() -> None:
    packing = packed([], 5)
    assert (packing.num_sequences, packing.first_pieces.tolist(), len(packing.starts)) == (0, [0], 0)
