"""A phase that takes too long is told with the rank that the others wait for."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.scheduling.deadlines import Overdue, culprits_by_state, find_overdue
from orchestrator.scheduling.phases import Phase, Sighting
from tests.scheduling.sightings import sighting

LIMITS: dict[Phase, float] = {"start": 60, "load": 100, "first_step": 90, "step": 15, "save": 100, "evaluate": 100, "end": 30}
PHASES: list[Phase] = list(get_args(Phase))


def look(*sightings: Sighting, world_size: int | None = None, seconds: float = 1000) -> Overdue | None:
    return find_overdue(sightings, LIMITS, world_size=world_size or len(sightings), seconds=seconds, from_step=0)


def waited_for(overdue: Overdue | None) -> list[int]:
    assert overdue
    return [culprit.rank for culprit in overdue.waiting_for]


def test_every_phase_has_a_limit_of_its_own() -> None:
    assert set(LIMITS) == set(PHASES)


@given(st.lists(st.tuples(st.sampled_from(PHASES[1:]), st.floats(0, 1), st.integers(0, 9)), min_size=1, max_size=8))
def test_ranks_within_their_limits_are_left_alone(places: list[tuple[Phase, float, int]]) -> None:
    ranks = [sighting(rank, phase=phase, seconds=share * LIMITS[phase], step=step) for rank, (phase, share, step) in enumerate(places)]
    assert look(*ranks) is None


@given(st.sampled_from(PHASES[1:]), st.floats(0.1, 1e4), st.integers(0, 3))
def test_a_rank_over_the_limit_of_its_phase_is_found_wherever_the_others_are(phase: Phase, over: float, late: int) -> None:
    ranks = [sighting(rank, seconds=0.5) for rank in range(4)]
    ranks[late] = sighting(late, phase=phase, seconds=LIMITS[phase] + over)
    overdue = look(*ranks)
    assert overdue
    assert (overdue.phase, overdue.limit_seconds) == (phase, LIMITS[phase])
    assert f"phase {phase} after step 40 has taken" in overdue.message({})
    assert f"over scheduling.deadlines.{phase}={LIMITS[phase]:g}" in overdue.message({})


def test_a_rank_that_went_silent_is_the_one_waited_for() -> None:
    ranks = [sighting(0, seconds=16), sighting(1, seconds=16.5, silent_seconds=16), sighting(2, seconds=16)]
    overdue = look(*ranks)
    assert waited_for(overdue) == [1]
    assert overdue
    assert "rank 1 (host host-1, pid 101), not heard of for 16 s, stopped (state T)" in overdue.message({1: "stopped (state T)"})


def test_a_rank_that_is_a_step_behind_is_the_one_waited_for() -> None:
    assert waited_for(look(sighting(0, step=41, seconds=16), sighting(1, step=40, seconds=16), sighting(2, step=41, seconds=16))) == [1]


def test_a_rank_that_still_evaluates_is_waited_for_by_those_that_save() -> None:
    ranks = [sighting(0, phase="save", seconds=101), sighting(1, phase="evaluate", seconds=90), sighting(2, phase="save", seconds=101)]
    assert waited_for(look(*ranks)) == [1]


def test_when_nothing_tells_them_apart_all_are_named() -> None:
    assert waited_for(look(sighting(0, seconds=16), sighting(1, seconds=16))) == [0, 1]


def test_a_rank_that_was_never_heard_of_is_named() -> None:
    overdue = look(sighting(0, phase="load", seconds=1), world_size=3, seconds=61)
    assert overdue
    assert (overdue.phase, overdue.unseen) == ("start", [1, 2])
    assert "rank 2, which was never heard of" in overdue.message({})
    assert look(sighting(0, phase="load", seconds=1), world_size=3, seconds=59) is None


def test_a_rank_that_hangs_in_the_process_group_is_named_by_the_start() -> None:
    overdue = look(sighting(0, phase="load", seconds=1), sighting(1, phase="start", seconds=50), seconds=61)
    assert overdue
    assert (overdue.phase, waited_for(overdue)) == ("start", [1])


def test_a_rank_that_is_done_waits_for_the_others_as_long_as_they_may_take() -> None:
    over = sighting(1, phase="end", seconds=900, silent_seconds=900, is_over=True)
    assert look(sighting(0, phase="save", seconds=99), over) is None
    assert waited_for(look(sighting(0, phase="save", seconds=101), over)) == [0]


@pytest.mark.parametrize("state", ["stopped (state T) in do_signal_stop", "disk-sleep (state D)", "dead"])
def test_a_process_found_stopped_or_stuck_in_the_kernel_is_the_culprit_whoever_was_waited_for(state: str) -> None:
    ranks = [sighting(0, step=40, seconds=16), sighting(1, step=41, seconds=16)]
    overdue = look(*ranks)
    assert overdue
    assert waited_for(overdue) == [0]
    assert [culprit.rank for culprit in culprits_by_state(overdue, ranks, {0: "sleeping in futex", 1: state})] == [1]
    assert [culprit.rank for culprit in culprits_by_state(overdue, ranks, {0: "sleeping in futex", 1: "running"})] == [0]
