"""The configuration of how a run is run: where, when it is saved and measured, and by which processes."""

from typing import Literal

from pydantic.dataclasses import dataclass

from orchestrator.config.values import STRICT, Count, CountOrNone, Folder, Name, NotNegative


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class RunConfig:
    """Which run this is and where it lives."""

    name: Name
    dir: Folder | None  # the run directory; null: runs/<name>


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class CheckpointsConfig:
    """When the run is saved; it always is after its last step."""

    every_steps: Count
    max_failed_saves: CountOrNone  # in a row; one more ends the run


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class EvaluationConfig:
    """Held-out loss by source; it is always measured before the first step and after the last."""

    every_steps: Count
    max_sequences: Count  # of each source, evenly spread over its held-out documents


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class TrackingConfig:
    """Weights & Biases, a mirror of the run directory. Its key comes from the environment only."""

    wandb: Literal["off", "offline", "online"]
    project: str
    finish_seconds: NotNegative  # how long the end of training waits for W&B; `midtrain sync` pushes what is left


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class SchedulingConfig:
    """The processes."""

    world_size: Count  # ranks
    gpus_per_rank: CountOrNone  # 0: CPU with gloo
    threads_per_rank: Count
