"""What the choice of held-out documents decides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.frontier.documents import count_documents, document_errors, draw_relative_losses, sum_documents
from orchestrator.frontier.trials import Floats, SourceLosses
from tests.frontier.hand_made import LAW, RATIOS, losses_of

NUM_DRAWS = 50


def rows_of(*measured: SourceLosses, num_draws: int = NUM_DRAWS, seed: int = 0) -> Floats:
    return draw_relative_losses(sum_documents(measured), num_draws, np.random.default_rng(seed))


@LAW
@given(st.lists(RATIOS, min_size=1, max_size=9))
def test_the_first_row_is_as_measured(ratios: list[float]) -> None:
    rows = rows_of(losses_of("spec", ratios))
    assert rows.shape == (1 + NUM_DRAWS, 1)
    assert rows[0, 0] == pytest.approx(np.mean(ratios))


@LAW
@given(st.lists(RATIOS, min_size=2, max_size=9), st.floats(-0.1, 0.1))
def test_all_trials_and_both_measurements_are_drawn_with_the_same_documents(ratios: list[float], shift: float) -> None:
    rows = rows_of(losses_of("spec", ratios), losses_of("spec", [r + shift for r in ratios]), losses_of("spec", [0.9] * len(ratios)))
    assert rows[:, 1] - rows[:, 0] == pytest.approx(np.full(1 + NUM_DRAWS, shift), abs=1e-6)
    assert rows[:, 2] == pytest.approx(np.full(1 + NUM_DRAWS, 0.9))


@LAW
@given(st.lists(st.integers(1, 5), min_size=2, max_size=6), RATIOS)
def test_the_sequences_of_a_document_stay_together(sizes: list[int], ratio: float) -> None:
    # Within every document losses differ, and their mean does not: drawn together they leave nothing to vary.
    spread = [ratio + 0.1 * (place - (size - 1) / 2) for size in sizes for place in range(size)]
    rows = rows_of(losses_of("spec", spread, documents=np.repeat(np.arange(len(sizes)), sizes).tolist()))
    assert rows == pytest.approx(np.full(rows.shape, ratio))


@LAW
@given(st.lists(RATIOS, min_size=1, max_size=9))
def test_one_document_leaves_nothing_to_draw(ratios: list[float]) -> None:
    losses = losses_of("spec", ratios, documents=[7] * len(ratios))
    assert count_documents(losses.documents) == 1
    assert np.ptp(rows_of(losses), axis=0).tolist() == [0.0]


@LAW
@given(st.lists(RATIOS, min_size=1, max_size=9), st.integers(1, 1000))
def test_how_documents_are_numbered_does_not_matter(ratios: list[float], step: int) -> None:
    documents = np.arange(len(ratios)) // 2
    one, other = (losses_of("spec", ratios, documents=numbers.tolist()) for numbers in (documents, 3 + step * documents))
    assert np.array_equal(rows_of(one), rows_of(other))


def test_draws_spread_as_the_mean_over_documents_does() -> None:
    ratios = np.random.default_rng(0).normal(0.8, 0.1, 40)
    rows = rows_of(losses_of("spec", ratios.tolist()), num_draws=20_000)
    expected = ratios.std(ddof=1) / np.sqrt(40) * np.sqrt(39 / 37)  # the last factor: of Student's t with 39 degrees of freedom
    assert rows[1:, 0].std() == pytest.approx(expected, rel=0.03)


def test_the_errors_of_documents_are_the_variance_of_the_draws() -> None:
    rng = np.random.default_rng(0)
    documents = np.repeat(np.arange(60), rng.integers(1, 4, 60)).tolist()
    measured = [losses_of("spec", rng.normal(0.8, 0.1, len(documents)).tolist(), documents=documents) for _ in range(2)]
    errors = document_errors(sum_documents(measured))
    assert np.cov(rows_of(*measured, num_draws=40_000)[1:].T) == pytest.approx(errors @ errors.T, rel=0.15, abs=2e-6)
