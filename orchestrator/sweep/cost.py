"""What a sweep will cost: rank hours, wall time by the size of the cluster, disk. Pure; what a figure assumes is said beside it."""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

STATE_BYTES = 12  # of a trained parameter in a checkpoint: the float32 weight and AdamW's two moments
START_SECONDS = 60.0  # until the first step: processes, the model, the base model's held-out loss
FORWARD_SHARE = 1 / 3  # of a trained token's work: measuring has no backward pass, which costs twice the forward one
ASSUMED_UTILISATION = 0.4  # of the device's peak, where no speed is known


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialSize:
    """What of a trial costs something.

    Attributes:
        tokens: trained.
        heldout_tokens: measured, in all its evaluations; those of probes included.
        checkpoints: that are on disk at its end.
    """

    tokens: int
    heldout_tokens: int
    checkpoints: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """How fast a rank trains.

    Attributes:
        tokens_per_second: of one rank.
        known_from: in words, for the reader to judge it.
    """

    tokens_per_second: float
    known_from: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """Of trials that are to be trained.

    Attributes:
        rank_hours: of all of them; none: no speed is known.
        wall_seconds: ranks of the cluster -> how long all of them take on it.
        disk_bytes: that the checkpoints take; none: the number of trained parameters is not known.
    """

    rank_hours: float | None
    wall_seconds: dict[int, float]
    disk_bytes: int | None


def checkpoints_kept(steps: int, every_steps: int, *, with_insurance: bool) -> int:
    """How many a finished run has: one every so many steps, the last, and of the insurance saves at most one above the last but one."""
    return math.ceil(steps / every_steps) + with_insurance


def cost_of(
    trials: Sequence[TrialSize], speed: Speed | None, *, world_size: int, trained_parameters: int | None, ranks: Sequence[int]
) -> Cost:
    """
    Args:
        trials: in the order in which they will be trained.
        speed: none: not known.
        world_size: ranks of each.
        trained_parameters: of the model, or of its adapters.
        ranks: of clusters to tell the wall time on.
    """
    checkpoints = sum(trial.checkpoints for trial in trials)
    disk = None if trained_parameters is None else checkpoints * trained_parameters * STATE_BYTES
    if speed is None:
        return Cost(rank_hours=None, wall_seconds={}, disk_bytes=disk)
    seconds = [trial_seconds(trial, speed, world_size) for trial in trials]
    return Cost(
        rank_hours=sum(seconds) * world_size / 3600,
        wall_seconds={size: makespan(seconds, max(1, size // world_size)) for size in ranks},
        disk_bytes=disk,
    )


def trial_seconds(trial: TrialSize, speed: Speed, world_size: int) -> float:
    """From its start to its end."""
    return START_SECONDS + (trial.tokens + FORWARD_SHARE * trial.heldout_tokens) / (speed.tokens_per_second * world_size)


def makespan(seconds: Sequence[float], at_once: int) -> float:
    """How long trials take of which so many run side by side, each begun as soon as another has ended."""
    ends = [0.0] * at_once
    for duration in seconds:
        heapq.heappush(ends, heapq.heappop(ends) + duration)
    return max(ends)


def cluster_sizes(world_size: int, num_trials: int) -> list[int]:
    """Sizes worth telling: for one trial at a time, twice as many, and so on to all at once."""
    sizes = [world_size << power for power in range(max(1, num_trials).bit_length()) if 1 << power < num_trials]
    return [*sizes, world_size * num_trials]
