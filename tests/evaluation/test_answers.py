"""Which choice is the likeliest, and by how much."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.evaluation.answers import judge_answers
from orchestrator.evaluation.probe_sequences import Probe

LIKELIHOODS = st.lists(st.floats(-50, 0), min_size=2, max_size=4)


def probe_of(num_choices: list[int], answers: list[int]) -> Probe:
    tokens = np.zeros(3, dtype=np.uint32)
    return Probe(
        name="p",
        items="hash",
        num_choices=np.array(num_choices),
        answers=np.array(answers),
        sequences=[tokens] * sum(num_choices),
        num_scored=np.ones(sum(num_choices), dtype=np.int64),
        num_cut=0,
    )


@given(st.lists(LIKELIHOODS, min_size=1, max_size=6), st.data())
def test_an_item_is_right_when_its_answer_is_likelier_than_each_other_choice(items: list[list[float]], data: st.DataObject) -> None:
    answers = [data.draw(st.integers(0, len(item) - 1)) for item in items]
    probe = probe_of([len(item) for item in items], answers)
    found = judge_answers(probe, np.concatenate(items))
    others = [item[:answer] + item[answer + 1 :] for item, answer in zip(items, answers, strict=True)]
    margins = [item[answer] - max(rest) for item, answer, rest in zip(items, answers, others, strict=True)]
    assert found.margins.tolist() == margins
    assert found.correct.tolist() == [margin > 0 for margin in margins]


def test_a_tie_is_not_right() -> None:
    assert judge_answers(probe_of([2], [0]), np.array([-1.0, -1.0])).correct.tolist() == [False]


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_one_likelihood_that_is_no_number_makes_its_items_margin_none(lost: int) -> None:
    likelihoods = np.array([-1.0, -2.0, -3.0, -1.0, -2.0])
    likelihoods[lost] = np.nan
    assert np.isnan(judge_answers(probe_of([3, 2], [1, 0]), likelihoods).margins).tolist() == [True, False]


def test_what_was_asked_goes_with_the_answers() -> None:
    found = judge_answers(replace(probe_of([2], [0]), num_cut=1), np.array([-1.0, -2.0]))
    assert (found.items, found.num_cut) == ("hash", 1)
