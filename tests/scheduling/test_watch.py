"""The driver ends an attempt that hangs, passes requests on, and sees the cluster grow and shrink."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import InfrastructureError, InterruptedRunError
from orchestrator.scheduling import watch
from orchestrator.scheduling.asked import noting_signals
from orchestrator.scheduling.phases import Phase, Sighting
from orchestrator.scheduling.watch import HungError, ResizedError, Rules, Watch
from tests.scheduling.sightings import sighting

LIMITS: dict[Phase, float] = {"start": 60, "load": 100, "first_step": 90, "step": 15, "save": 100, "evaluate": 100, "end": 30}


@pytest.fixture(autouse=True)
def signals_are_noted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(watch, "_SIZE_SECONDS", 0.0)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell has started in the background ignores it
    with noting_signals(["TERM", "USR1"]):
        yield
    signal.signal(signal.SIGINT, before)


class Ranks:
    """A gang and its board in one: what is heard of the ranks at each look, after which they end."""

    def __init__(self, *looks: Sequence[Sighting], ending: Any = None) -> None:
        self._looks, self._seen, self._ending = list(looks), -1, ending
        self.wishes: list[tuple[str, int]] = []

    def wait(self, seconds: float) -> bool:
        self._seen += 1
        return self._seen >= len(self._looks)

    def result(self) -> Any:
        return self._ending

    def is_placed(self) -> bool:
        return bool(self.read())

    def read(self) -> Sequence[Sighting]:
        return self._looks[min(self._seen, len(self._looks) - 1)]

    def wish(self, name: str, value: int = 1) -> None:
        self.wishes.append((name, value))


def watched(
    ranks: Ranks,
    *,
    world_size: int = 2,
    grace: float = 120,
    feasible: Callable[[int], int | None] = lambda placed: None,
    draining: Sequence[str] = (),
    ended: Callable[[Sequence[Sighting]], dict[int, str]] = lambda _: {},
    orphaned: bool = False,
    began_before: float = 0,
) -> Any:
    rules = Rules(
        limits=LIMITS,
        grace_seconds=grace,
        world_size=world_size,
        from_step=0,
        feasible_world_size=feasible,
        draining_nodes=lambda: draining,
        beat=lambda: None,
        end_ranks=ended,
        logs=Path("/logs/1"),
    )
    return Watch(ranks, ranks, rules, is_orphaned=lambda: orphaned, began=time.monotonic() - began_before).until_it_ends()


WELL = [sighting(0), sighting(1)]


def test_what_the_ranks_return_is_handed_on() -> None:
    assert watched(Ranks(WELL, WELL, ending={"kind": "done"})) == {"kind": "done"}


def test_ranks_that_hang_are_ended_and_the_stopped_one_is_blamed() -> None:
    stopped = sighting(1, seconds=16, silent_seconds=16)
    asked: list[Sequence[Sighting]] = []

    def end(sightings: Sequence[Sighting]) -> dict[int, str]:
        asked.append(sightings)
        return {0: "sleeping in futex", 1: "stopped (state T)"}

    hanging = [sighting(0, seconds=16), stopped]
    with pytest.raises(HungError, match=r"waits for rank 1 .*stopped \(state T\).*stacks of all ranks are in /logs/1") as caught:
        watched(Ranks(WELL, hanging), ended=end)
    assert asked == [hanging]
    assert caught.value.culprits == (stopped,)
    assert caught.value.reason_class == InfrastructureError.reason_class


def test_a_signal_is_passed_on_once_and_the_ranks_stop_in_their_own_time() -> None:
    os.kill(os.getpid(), signal.SIGUSR1)
    ranks = Ranks(WELL, WELL, WELL, ending={"kind": "stop"})
    assert watched(ranks) == {"kind": "stop"}
    assert ranks.wishes == [("stop", signal.SIGUSR1)]


def test_ranks_hear_that_one_of_their_nodes_is_taken_away() -> None:
    ranks = Ranks(WELL, ending={"kind": "drained"})
    assert watched(ranks, draining=["elsewhere"]) == {"kind": "drained"}
    assert not ranks.wishes
    watched(ranks := Ranks(WELL, ending={"kind": "drained"}), draining=["elsewhere", WELL[1].node])
    assert ranks.wishes == [("drained", 1)]


def test_ranks_that_do_not_stop_in_time_are_ended() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(InterruptedRunError, match=r"SIGTERM.*no checkpoint within scheduling\.preemption\.grace_seconds=0\.01"):
        watched(Ranks(*[WELL] * 10_000), grace=0.01)


@pytest.mark.parametrize("early", [[], [sighting(0, phase="load")], [sighting(0), sighting(1, phase="load")]])
def test_before_the_first_step_there_is_nothing_to_wait_for(early: list[Sighting]) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(InterruptedRunError, match="before the first step"):
        watched(Ranks(early, early))


def test_a_second_ctrl_c_waits_for_nothing() -> None:
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(InterruptedRunError, match="second Ctrl-C"):
        watched(Ranks(WELL, WELL))


def test_an_attempt_whose_command_is_gone_ends() -> None:
    with pytest.raises(InterruptedRunError, match="is gone"):
        watched(Ranks(WELL, WELL), orphaned=True)


def test_room_for_more_ranks_is_asked_for_when_it_was_there_twice() -> None:
    room = iter([2, 0, 2, 2])
    ranks = Ranks(WELL, WELL, WELL, WELL)
    watched(ranks, feasible=lambda placed: placed + next(room))
    assert ranks.wishes == [("resize", 1)]


def test_nodes_that_are_gone_before_the_ranks_were_placed_begin_it_again() -> None:
    with pytest.raises(ResizedError):
        watched(Ranks([], []), feasible=lambda placed: placed + 1)
    room = iter([1, 2, 1])
    assert watched(Ranks([], [], []), feasible=lambda placed: placed + next(room)) is None
    assert watched(Ranks(WELL, WELL), feasible=lambda placed: placed + 1) is None
