"""A loss that leaps is told from one that wanders, and the guard after a resume is the one before it."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.training.guard import SpikeGuard

losses = st.lists(st.floats(0.5, 12.0), min_size=1, max_size=60)


def guard(history: list[float] | None = None, window: int = 32) -> SpikeGuard:
    return SpikeGuard(window_steps=window, sigmas=8.0, device=torch.device("cpu"), history=history or [])


def judged(by: SpikeGuard, sequence: list[float]) -> list[bool]:
    return [math.isnan(float(by.factor(torch.tensor(loss)))) for loss in sequence]


def wandering(steps: int) -> list[float]:
    return [3.0 - 0.01 * step + 0.1 * math.sin(7 * step) for step in range(steps)]


def test_a_loss_that_wanders_and_falls_has_no_spikes() -> None:
    assert not any(judged(guard(), wandering(200)))


def test_a_leap_is_a_spike_and_is_not_remembered() -> None:
    by = guard()
    judged(by, wandering(40))
    before = by.history()
    assert judged(by, [9.0]) == [True]
    assert by.was_spike
    assert by.history() == before
    assert judged(by, [2.6]) == [False]


def test_before_there_is_something_to_compare_with_nothing_is_a_spike() -> None:
    assert judged(guard(), [3.0] * 15 + [50.0]) == [False] * 16


def test_a_loss_that_is_not_finite_is_no_spike_and_is_not_remembered() -> None:
    by = guard()
    judged(by, wandering(40))
    before = by.history()
    assert judged(by, [math.nan]) == [False]
    assert by.history() == before


def test_a_loss_that_hardly_moves_has_no_spikes_from_rounding() -> None:
    assert not any(judged(guard(), [2.0] * 40 + [2.01, 2.05]))


@settings(deadline=None, max_examples=50)
@given(losses, losses, st.sampled_from([4, 16, 32]))
def test_a_guard_that_is_made_from_the_history_of_another_judges_as_that_one_would(
    first: list[float], then: list[float], window: int
) -> None:
    one = guard(window=window)
    judged(one, first)
    other = guard(one.history(), window)
    assert judged(one, then) == judged(other, then)
    assert one.history() == pytest.approx(other.history())
