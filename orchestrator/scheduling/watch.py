"""The driver's watch over a gang: deadlines, requests to stop, and a cluster that grows or shrinks, looked at every second."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from orchestrator.errors import InfrastructureError, InterruptedRunError
from orchestrator.scheduling import asked
from orchestrator.scheduling.deadlines import Overdue, culprits_by_state, find_overdue
from orchestrator.scheduling.phases import Phase, Sighting

_LOOK_SECONDS = 1.0
_SIZE_SECONDS = 10.0
_ENDED_SECONDS = 20.0
_BEFORE_STEPS = ("start", "load")  # phases at whose end there would be nothing new to save


class Watched(Protocol):
    """A gang at work."""

    def wait(self, seconds: float) -> bool: ...

    def is_placed(self) -> bool: ...

    def result(self) -> Any: ...


class Seen(Protocol):
    """What the ranks tell, and hear."""

    def read(self) -> Sequence[Sighting]: ...

    def wish(self, name: str, value: int = 1) -> None: ...


class HungError(InfrastructureError):
    """Ranks that hung.

    Attributes:
        culprits: those that the others waited for.
    """

    def __init__(self, message: str, culprits: Sequence[Sighting] = ()) -> None:
        super().__init__(message)
        self.culprits = tuple(culprits)


class ResizedError(Exception):
    """The cluster has lost nodes before the ranks were placed: begin again with fewer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What a watch goes by.

    Attributes:
        limits: seconds that each phase may take.
        grace_seconds: from a request to stop to the end of the attempt.
        world_size: how many ranks there are.
        from_step: where they began.
        feasible_world_size: how many there could be, given how many have their places already; none when there is no room for any, or the
            size is fixed.
        draining_nodes: Ray's ids of the nodes that the cluster is about to take away.
        beat: called at every look, to show that the driver lives.
        end_ranks: makes ranks write their stacks and ends them; what each was found doing, by rank.
        logs: where the stacks then are.
    """

    limits: Mapping[Phase, float]
    grace_seconds: float
    world_size: int
    from_step: int
    feasible_world_size: Callable[[int], int | None]
    draining_nodes: Callable[[], Collection[str]]
    beat: Callable[[], None]
    end_ranks: Callable[[Sequence[Sighting]], dict[int, str]]
    logs: Path


class Watch:
    """Of one attempt.

    Attributes:
        sightings: the ranks, as they were last heard of.
    """

    def __init__(self, gang: Watched, board: Seen, rules: Rules, *, is_orphaned: Callable[[], bool], began: float) -> None:
        """
        Args:
            gang: the ranks.
            board: what they tell.
            rules: what to go by.
            is_orphaned: whether the command that wanted this attempt is gone.
            began: when the attempt began, on the monotonic clock.
        """
        self._gang, self._board, self._rules, self._is_orphaned, self._began = gang, board, rules, is_orphaned, began
        self._asked_at: float | None = None
        self._sized_at = began
        self._feasible: int | None = None  # at the look before
        self.sightings: Sequence[Sighting] = ()

    def until_it_ends(self) -> Any:
        """Watch.

        Returns:
            What rank 0 returned.

        Raises:
            OrchestratorError: what a rank raised, or that ranks died or hung.
            InterruptedRunError: the attempt was asked to stop, and had nothing to save or no time left to.
            ResizedError: nodes are gone before the ranks were placed.
        """
        while not self._gang.wait(_LOOK_SECONDS):
            self._rules.beat()
            self.sightings = self._board.read()
            self._pass_on_requests()
            self._look_at_deadlines()
            self._look_at_size()
            self._look_at_nodes()
        self.sightings = self._board.read()
        return self._gang.result()

    def _pass_on_requests(self) -> None:
        if self._is_orphaned():
            raise InterruptedRunError("the command that drove this attempt is gone, so the attempt ends.")
        number = asked.asked_to_stop()
        if not number:
            return
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
            self._board.wish("stop", number)
        name, grace = asked.name(number), self._rules.grace_seconds
        if len(self.sightings) < self._rules.world_size or any(sighting.phase in _BEFORE_STEPS for sighting in self.sightings):
            raise InterruptedRunError(f"stopped by {name} before the first step. Go on with `midtrain resume`.")
        if asked.asked_to_hurry():
            raise InterruptedRunError("stopped by a second Ctrl-C, without a save. Go on from the last checkpoint with `midtrain resume`.")
        if now - self._asked_at > grace - _cleaning_seconds(grace):
            raise InterruptedRunError(
                f"stopped by {name}, and the ranks came to no checkpoint within scheduling.preemption.grace_seconds={grace:g}: they were "
                f"ended. Go on from the last one with `midtrain resume`; a longer grace, if the cluster gives it, loses fewer steps."
            )

    def _look_at_deadlines(self) -> None:
        overdue = find_overdue(
            self.sightings,
            self._rules.limits,
            world_size=self._rules.world_size,
            seconds=time.monotonic() - self._began,
            from_step=self._rules.from_step,
        )
        if overdue:
            raise self._ended(overdue)

    def _ended(self, overdue: Overdue) -> HungError:
        here = [sighting for sighting in self.sightings if not sighting.is_over]
        states = self._rules.end_ranks(here)
        self._gang.wait(_ENDED_SECONDS)
        stacks = f" The stacks of all ranks are in {self._rules.logs}; go on with `midtrain resume`."
        return HungError(overdue.message(states) + stacks, culprits_by_state(overdue, here, states))

    def _look_at_size(self) -> None:
        now = time.monotonic()
        if now - self._sized_at < _SIZE_SECONDS:
            return
        self._sized_at = now
        before, self._feasible = self._feasible, self._rules.feasible_world_size(self._rules.world_size if self._gang.is_placed() else 0)
        if before is None or self._feasible is None:
            return
        if max(before, self._feasible) < self._rules.world_size:  # twice in a row: nodes come and go one by one
            raise ResizedError
        if min(before, self._feasible) > self._rules.world_size:
            self._board.wish("resize")

    def _look_at_nodes(self) -> None:
        draining = self._rules.draining_nodes()
        if any(sighting.node in draining for sighting in self.sightings):
            self._board.wish("drained")


def _cleaning_seconds(grace_seconds: float) -> float:
    """What of the grace is kept for taking everything down."""
    return min(10.0, grace_seconds / 4)
