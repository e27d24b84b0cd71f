"""The learning rate is a pure function of the step: within its peak, without jumps, exact at its ends."""

import math
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config.load import load_config
from orchestrator.config.training import TrainingConfig
from orchestrator.training.schedule import learning_rate, phases

SHAPES = ["constant", "linear", "cosine", "warmup_stable_decay"]


@cache
def shipped() -> TrainingConfig:
    return load_config(["run.name=a", "model.path=/m", "mixture.total_tokens=1", "sources.spec={role:spec,paths:[/a.md]}"]).training


def scheduled(schedule: str, **changes: Any) -> TrainingConfig:
    plain: dict[str, Any] = {"learning_rate": 1.0, "warmup_share": None, "warmup_steps": 0, "final_learning_rate_share": 0.0}
    return replace(shipped(), **{**plain, "schedule": schedule, **changes})


def rates(config: TrainingConfig, steps: int) -> list[float]:
    return [learning_rate(config, step, steps) for step in range(1, steps + 1)]


@st.composite
def schedules(draw: st.DrawFn) -> tuple[TrainingConfig, int]:
    """A schedule that planning takes, and the steps of its run."""
    shares = st.floats(0, 1)
    warmup_steps = draw(st.integers(0, 50))
    decay_share = draw(st.floats(0.01, 0.5))
    steps = draw(st.integers(1, 500)) + 2 * warmup_steps + 1
    config = scheduled(
        draw(st.sampled_from(SHAPES)),
        learning_rate=draw(st.floats(1e-7, 1)),
        warmup_steps=warmup_steps,
        initial_learning_rate_share=draw(shares) if warmup_steps else 0.0,
        decay_share=decay_share,
        final_learning_rate_share=draw(shares),
    )
    return config, steps


def steepest(config: TrainingConfig, steps: int) -> float:
    """The most that the rate's share of the peak may change from a step to the next, by the slope of its shape."""
    parts = phases(config, steps)
    rising = (1 - config.initial_learning_rate_share) / parts.warmup if parts.warmup else 0.0
    fall = 1 - config.final_learning_rate_share
    n = max(1, parts.decay)
    slopes = {"constant": 0.0, "linear": 1 / n, "cosine": math.pi / 2 / n, "warmup_stable_decay": math.sqrt(1 / n)}
    return max(rising, fall * slopes[config.schedule])


@given(schedules())
def test_the_rate_is_never_above_the_peak_and_never_below_its_ends(drawn: tuple[TrainingConfig, int]) -> None:
    config, steps = drawn
    lowest = min(config.initial_learning_rate_share if config.warmup_steps else 1.0, config.final_learning_rate_share)
    for rate in rates(config, steps):
        assert lowest * config.learning_rate * (1 - 1e-12) <= rate <= config.learning_rate


@given(schedules())
def test_the_rate_never_jumps_by_more_than_the_slope_of_its_shape(drawn: tuple[TrainingConfig, int]) -> None:
    config, steps = drawn
    most = steepest(config, steps) * config.learning_rate * (1 + 1e-9) + 1e-15
    made = rates(config, steps)
    assert all(abs(after - before) <= most for before, after in pairwise(made))


@given(schedules())
def test_the_ends_are_exact(drawn: tuple[TrainingConfig, int]) -> None:
    config, steps = drawn
    parts = phases(config, steps)
    assert parts.warmup + parts.stable + parts.decay == steps
    assert learning_rate(config, max(1, parts.warmup), steps) == config.learning_rate or not parts.warmup
    assert learning_rate(config, steps - parts.decay, steps) == config.learning_rate
    final = 1.0 if config.schedule == "constant" else config.final_learning_rate_share
    assert learning_rate(config, steps, steps) == final * config.learning_rate


@given(schedules())
def test_the_rate_rises_to_the_peak_and_never_rises_after_it(drawn: tuple[TrainingConfig, int]) -> None:
    config, steps = drawn
    made, warmup = rates(config, steps), phases(config, steps).warmup
    assert made[:warmup] == sorted(made[:warmup])
    assert made[warmup:] == sorted(made[warmup:], reverse=True)


@pytest.mark.parametrize(
    ("schedule", "closed_form"),
    [
        ("constant", lambda x: 1.0),
        ("linear", lambda x: 1 - 0.9 * x),
        ("cosine", lambda x: 0.1 + 0.45 * (1 + math.cos(math.pi * x))),
        ("warmup_stable_decay", lambda x: 1.0 if x <= 0.75 else 0.1 + 0.9 * (1 - math.sqrt((x - 0.75) / 0.25))),
    ],
)
def test_each_shape_is_its_closed_form_after_the_warm_up(schedule: str, closed_form: Any) -> None:
    config = scheduled(schedule, warmup_steps=20, decay_share=0.2, final_learning_rate_share=0.1)
    expected = [step / 20 for step in range(1, 20)] + [closed_form((step - 20) / 80) for step in range(20, 101)]
    assert rates(config, 100) == pytest.approx(expected, abs=1e-12)


def test_a_re_warm_begins_at_its_share_of_the_peak() -> None:
    config = scheduled("linear", warmup_steps=10, initial_learning_rate_share=0.2)
    assert rates(config, 100)[:10] == pytest.approx([0.2 + 0.08 * step for step in range(1, 11)])


def test_an_anneal_falls_from_the_peak_to_zero_along_a_line() -> None:
    assert rates(scheduled("linear"), 4) == [0.75, 0.5, 0.25, 0.0]


@pytest.mark.parametrize(("share", "steps", "warmup"), [(0.07, 100, 7), (0.03, 10, 1), (0.0, 10, 0), (0.05, 1000, 50), (0.031, 1000, 31)])
def test_a_share_of_the_run_is_whole_steps_and_none_only_when_it_is_zero(share: float, steps: int, warmup: int) -> None:
    assert phases(scheduled("cosine", warmup_share=share, warmup_steps=None), steps).warmup == warmup
