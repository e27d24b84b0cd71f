"""What a sweep will cost: hours, wall time by the size of the cluster, disk."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.sweep import cost
from orchestrator.sweep.cost import Speed, TrialSize

SECONDS = st.lists(st.floats(1, 1e6), min_size=1, max_size=30)


@given(seconds=SECONDS)
def test_one_after_the_other_takes_the_sum_and_all_at_once_the_longest(seconds: list[float]) -> None:
    assert math.isclose(cost.makespan(seconds, 1), sum(seconds))
    assert cost.makespan(seconds, len(seconds)) == max(seconds)


@given(seconds=SECONDS, at_once=st.integers(1, 40))
def test_more_side_by_side_never_wastes_more_than_the_longest(seconds: list[float], at_once: int) -> None:
    ideal = sum(seconds) / at_once
    assert ideal * 0.999 <= cost.makespan(seconds, at_once) <= ideal + max(seconds)


def test_hours_and_disk_follow_from_what_is_assumed() -> None:
    size = TrialSize(tokens=1_000_000, heldout_tokens=300_000, checkpoints=3)
    speed = Speed(tokens_per_second=1000, known_from="a test")
    found = cost.cost_of([size, size], speed, world_size=4, trained_parameters=1000, ranks=[4, 8])
    each = 60 + 1_100_000 / 4000
    assert found.rank_hours == pytest.approx(2 * each * 4 / 3600)
    assert found.wall_seconds == {4: pytest.approx(2 * each), 8: pytest.approx(each)}
    assert found.disk_bytes == 2 * 3 * 1000 * 12


def test_what_is_not_known_is_not_guessed() -> None:
    found = cost.cost_of([TrialSize(tokens=1, heldout_tokens=1, checkpoints=1)], None, world_size=1, trained_parameters=None, ranks=[1])
    assert (found.rank_hours, found.wall_seconds, found.disk_bytes) == (None, {}, None)


@pytest.mark.parametrize(("num", "sizes"), [(1, [8]), (2, [8, 16]), (5, [8, 16, 32, 40]), (8, [8, 16, 32, 64])])
def test_cluster_sizes_go_from_one_trial_at_a_time_to_all_at_once(num: int, sizes: list[int]) -> None:
    assert cost.cluster_sizes(8, num) == sizes


def test_a_finished_run_has_its_science_saves_and_the_last() -> None:
    assert [cost.checkpoints_kept(steps, 100, with_insurance=False) for steps in (99, 100, 101)] == [1, 1, 2]
