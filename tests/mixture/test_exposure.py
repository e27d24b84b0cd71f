"""The updates that have seen a source are counted from the plan: the same whenever the counting began."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.mixture.exposure import Exposure, updates_within
from orchestrator.mixture.plan import Plan
from tests.support.run_directory import MadeUpRun, plan_of

PLAN: Plan = plan_of(MadeUpRun(steps=60))


def looked_up(last_step: int, skipped: set[int]) -> list[int]:
    """By looking at every sequence of every step."""
    steps = [step for step in range(1, last_step + 1) if step not in skipped]
    each = PLAN.sequences_per_step
    seen = [set(PLAN.look_up(np.arange((step - 1) * each, step * each)).sources.tolist()) for step in steps]
    return [sum(source in sources for sources in seen) for source in range(len(PLAN.sources))]


@settings(deadline=None)
@given(st.integers(1, 60), st.sets(st.integers(1, 60), max_size=8))
def test_the_updates_of_a_source_are_the_steps_that_hold_one_of_its_sequences_and_were_not_skipped(last: int, skipped: set[int]) -> None:
    assert updates_within(PLAN, 1, last, skipped) == looked_up(last, skipped)


@settings(deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=5).map(sorted), st.sets(st.integers(1, 60), max_size=8))
def test_counting_on_from_a_resume_is_counting_all_along(steps: list[int], skipped: set[int]) -> None:
    straight = Exposure(PLAN)
    for step in steps:
        counted = straight.up_to(step, skipped)
    assert counted == Exposure(PLAN).up_to(steps[-1], skipped) == looked_up(steps[-1], skipped)
