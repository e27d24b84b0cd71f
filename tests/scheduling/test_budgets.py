"""A budget ends a run that makes no progress, and never one that does."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config.load import load_config
from orchestrator.scheduling.budgets import Failure, Verdict, backoff_seconds, by_class, judge

CLASSES = ("preempted", "infrastructure", "data", "numerics", "bug")
classes, budgets = st.sampled_from(CLASSES), st.fixed_dictionaries({name: st.integers(0, 9) for name in CLASSES})


def failed(*steps: int, of: str = "infrastructure", from_step: int = 0) -> list[Failure]:
    return [Failure(reason_class=of, from_step=from_step, step=step) for step in steps]


def go_on(failures: Sequence[Failure], **limits: int) -> list[bool]:
    """What was decided after each failure."""
    return [judge(failures[: end + 1], limits).goes_on for end in range(len(failures))]


def test_a_budget_is_the_number_of_failures_after_which_the_run_goes_on() -> None:
    assert go_on(failed(10, 11, 12, 13), infrastructure=3) == [True, True, True, False]


def test_failing_again_at_the_same_step_counts_double() -> None:
    assert go_on(failed(10, 10, 10), infrastructure=4) == [True, True, False]
    assert judge(failed(10, 10), {"infrastructure": 4}) == Verdict(goes_on=True, spent=3, limit=4, in_a_row=2)


def test_a_cluster_that_lets_no_attempt_begin_is_not_taken_for_a_step_that_fails() -> None:
    assert go_on(failed(10, 10, 10, 10, from_step=10), infrastructure=3) == [True, True, True, False]


def test_a_newer_checkpoint_fills_the_budgets_again() -> None:
    failures = [Failure(reason_class="infrastructure", from_step=50 * n, step=50 * n + 60) for n in range(9)]
    assert go_on(failures, infrastructure=1) == [True] * 9


def test_a_class_without_a_budget_is_never_tried_again() -> None:
    assert go_on(failed(3, of="user"), infrastructure=9) == [False]


def test_one_class_does_not_spend_the_budget_of_another() -> None:
    assert go_on([*failed(1, 2, of="infrastructure"), *failed(3, of="bug")], infrastructure=2, bug=1) == [True, True, True]


@given(st.lists(st.tuples(classes, st.integers(0, 3)), min_size=1, max_size=60), budgets)
def test_without_progress_every_run_ends(failures: list[tuple[str, int]], limits: dict[str, int]) -> None:
    history = [Failure(reason_class=name, from_step=0, step=step) for name, step in failures]
    for name in CLASSES:
        count = sum(failure.reason_class == name for failure in history)
        if count > limits[name] and history[-1].reason_class == name:
            assert not judge(history, limits).goes_on


@given(st.lists(st.tuples(classes, st.integers(0, 100)), min_size=1, max_size=20), budgets)
def test_with_progress_between_failures_only_the_last_one_counts(failures: list[tuple[str, int]], limits: dict[str, int]) -> None:
    history = [Failure(reason_class=name, from_step=n, step=1000 + n) for n, (name, _) in enumerate(failures)]
    verdict = judge(history, limits)
    assert (verdict.spent, verdict.in_a_row) == (1, 1)
    assert verdict.goes_on == (limits[history[-1].reason_class] >= 1)


def test_the_wait_grows_and_has_a_limit() -> None:
    waits = [backoff_seconds(n) for n in range(1, 200)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (2.0, 60.0)


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_but_the_users_has_its_key(name: str) -> None:
    words = ["run.name=a", "model.path=/m", "mixture.total_tokens=100000", "sources.spec={role:spec,paths:[/a.md]}"]
    config = load_config([*words, f"scheduling.budgets.{name}=7"])
    assert by_class(config.scheduling.budgets)[name] == 7
    assert "user" not in by_class(config.scheduling.budgets)
