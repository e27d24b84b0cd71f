"""Whether a phase takes too long, and which ranks the others wait for. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.scheduling.phases import Phase, Sighting

_SILENT_SECONDS = 5.0  # a process that lives is heard every second, also while it waits for the others


@dataclass(frozen=True, kw_only=True, slots=True)
class Overdue:
    """A phase that took too long.

    Attributes:
        phase: which.
        seconds: how long it has taken.
        limit_seconds: its deadline.
        step: the last one that was made by all.
        waiting_for: the ranks that hold up the others, as far as it can be told.
        unseen: ranks that were never heard of.
    """

    phase: Phase
    seconds: float
    limit_seconds: float
    step: int
    waiting_for: Sequence[Sighting]
    unseen: Sequence[int] = ()

    def message(self, states: Mapping[int, str]) -> str:
        """What to tell.

        Args:
            states: of a rank's process, where it is known: what it was found doing.
        """
        told = [_described(sighting, states.get(sighting.rank)) for sighting in self.waiting_for]
        told += [f"rank {rank}, which was never heard of" for rank in self.unseen]
        return (
            f"the ranks hang: phase {self.phase} after step {self.step} has taken {self.seconds:.0f} s, over "
            f"scheduling.deadlines.{self.phase}={self.limit_seconds:g}. It waits for {'; '.join(told)}."
        )


def find_overdue(
    sightings: Sequence[Sighting], limits: Mapping[Phase, float], *, world_size: int, seconds: float, from_step: int
) -> Overdue | None:
    """Look for a phase that takes too long.

    Args:
        sightings: of the ranks that were heard of.
        limits: seconds that each phase may take.
        world_size: how many ranks there should be.
        seconds: since the attempt began.
        from_step: where it began.

    Returns:
        The phase that is longest over its limit, or none.
    """
    step = min((sighting.step for sighting in sightings), default=from_step)
    unseen = sorted(set(range(world_size)) - {sighting.rank for sighting in sightings})
    starting = [sighting for sighting in sightings if sighting.phase == "start"]
    if (unseen or starting) and seconds > limits["start"]:
        waiting_for = [] if unseen else _culprits(starting)
        return Overdue(phase="start", seconds=seconds, limit_seconds=limits["start"], step=step, waiting_for=waiting_for, unseen=unseen)
    late = [s for s in sightings if s.phase != "start" and not s.is_over and s.seconds > limits[s.phase]]
    if not late:
        return None
    worst = max(late, key=lambda sighting: sighting.seconds - limits[sighting.phase])
    return Overdue(phase=worst.phase, seconds=worst.seconds, limit_seconds=limits[worst.phase], step=step, waiting_for=_culprits(sightings))


def culprits_by_state(overdue: Overdue, sightings: Sequence[Sighting], states: Mapping[int, str]) -> Sequence[Sighting]:
    """The ranks that are to blame once their processes were looked at: those stopped or stuck in the kernel, else those waited for."""
    stuck = [sighting for sighting in sightings if states.get(sighting.rank, "").startswith(("stopped", "disk-sleep", "dead", "tracing"))]
    return stuck or overdue.waiting_for


def _culprits(sightings: Sequence[Sighting]) -> Sequence[Sighting]:
    """Those that went silent; else those that are behind; else, when all are at the same place, all of them."""
    here = [sighting for sighting in sightings if not sighting.is_over]
    silent = [sighting for sighting in here if sighting.silent_seconds > _SILENT_SECONDS]
    if silent and len(silent) < len(here):
        return silent
    furthest_behind = min(_position(sighting) for sighting in here)
    return [sighting for sighting in here if _position(sighting) == furthest_behind]


def _position(sighting: Sighting) -> tuple[int, int]:
    """How far a rank is, to compare it with the others by: after a step come its evaluation, its save, the end."""
    order: list[Phase] = ["start", "load", "first_step", "step", "evaluate", "save", "end"]
    return sighting.step, order.index(sighting.phase)


def _described(sighting: Sighting, state: str | None) -> str:
    heard = f", not heard of for {sighting.silent_seconds:.0f} s" if sighting.silent_seconds > _SILENT_SECONDS else ""
    return f"{sighting.name}{heard}{f', {state}' if state else ''}"
