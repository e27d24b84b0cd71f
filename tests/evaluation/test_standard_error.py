"""The error of a mean over sequences of several documents."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.evaluation.standard_error import standard_error

VALUES = st.lists(st.floats(-10, 10), min_size=2, max_size=30)


@given(VALUES)
def test_where_each_sequence_is_of_another_document_it_is_the_deviation_over_the_root_of_their_number(values: list[float]) -> None:
    expected = np.std(values, ddof=1) / math.sqrt(len(values))
    for documents in (None, np.arange(len(values))[::-1] * 3):
        assert math.isclose(standard_error(np.array(values), documents) or 0, expected, rel_tol=1e-9, abs_tol=1e-12)


@given(VALUES, st.integers(2, 5))
def test_taking_every_sequence_of_a_document_several_times_makes_it_no_smaller(values: list[float], times: int) -> None:
    one, documents = np.array(values), np.arange(len(values))
    many = standard_error(np.repeat(one, times), np.repeat(documents, times))
    assert math.isclose(many or 0, standard_error(one, documents) or 0, rel_tol=1e-6, abs_tol=1e-9)


@given(st.lists(st.tuples(st.floats(-10, 10), st.integers(0, 4)), min_size=2, max_size=20), st.permutations(range(5)))
def test_neither_the_numbers_of_documents_nor_the_order_of_sequences_matter(pairs: list[tuple[float, int]], renamed: list[int]) -> None:
    values, documents = np.array([value for value, _ in pairs]), np.array([document for _, document in pairs])
    one, other = standard_error(values, documents), standard_error(values[::-1], np.array(renamed)[documents][::-1])
    assert (one is None) == (other is None) == (len(set(documents.tolist())) == 1)
    assert math.isclose(one or 0, other or 0, rel_tol=1e-6, abs_tol=1e-9)


@pytest.mark.parametrize(
    ("values", "documents", "error"),
    [
        ([0, 3, 3], [5, 1, 1], 4 / 3),  # deviations -2 and 1 + 1: the root of 2 (4 + 4), by 3
        ([1, 2, 3, 6], [0, 0, 9, 9], 1.5),  # -3 and 3: the root of 2 (9 + 9), by 4
        ([1, 2, 3], [4, 4, 4], None),
        ([1], None, None),
        ([], [], None),
    ],
)
def test_small_examples_come_out_as_by_hand(values: list[float], documents: list[int] | None, error: float | None) -> None:
    found = standard_error(np.array(values, dtype=np.float64), None if documents is None else np.array(documents, dtype=np.int64))
    assert found == (None if error is None else pytest.approx(error))


def test_an_error_over_documents_says_how_far_means_of_other_documents_are_and_one_over_sequences_does_not() -> None:
    """2,000 samples of 40 documents of one to nine sequences, whose losses share most of their variance within a document."""
    pick = np.random.default_rng(0)
    means, over_documents, over_sequences = [], [], []
    for _ in range(2000):
        documents = np.repeat(np.arange(40), pick.integers(1, 10, 40))
        values = pick.normal(0, 1, 40)[documents] + pick.normal(0, 0.5, len(documents))
        means.append(values.mean())
        over_documents.append(standard_error(values, documents))
        over_sequences.append(standard_error(values))
    true = float(np.std(means))
    assert np.mean(np.array(over_documents)) == pytest.approx(true, rel=0.05)
    assert np.mean(np.array(over_sequences)) < 0.6 * true
