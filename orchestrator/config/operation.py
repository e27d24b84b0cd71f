"""The configuration of how a run is run: where, when it is saved and measured, and by which processes."""

from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from orchestrator.config.values import STRICT, Count, CountOrNone, Folder, Name, NotNegative, Paths, Positive, Url


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class RunConfig:
    """Which run this is and where it lives."""

    name: Name
    dir: Folder | None  # the run directory; null: runs/<name>


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class CheckpointsConfig:
    """When the run is saved; it always is after its last step."""

    every_steps: Count  # science saves, which are kept
    insurance_minutes: NotNegative  # between saves of which only the newest two are kept; 0: none
    max_failed_saves: CountOrNone  # in a row; one more ends the run
    second_home: Url | None  # where every checkpoint is copied to, for a machine that has nothing else; null: nowhere
    answer_seconds: Positive  # how long the second home may take to answer, 8 MiB at most, before it is tried again
    finish_upload_seconds: NotNegative  # how long the end of training waits for it; `midtrain sync` uploads what is left


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class EvaluationConfig:
    """Held-out loss by source, and probes; they are always measured before the first step and after the last."""

    every_steps: Count
    max_sequences: Count  # of each source, evenly spread over its held-out documents
    probes: dict[Name, Annotated[Paths, Field(min_length=1)]] = field(default_factory=dict)  # name -> JSONL files; older runs lack the key


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class TrackingConfig:
    """Weights & Biases, a mirror of the run directory. Its key comes from the environment only."""

    wandb: Literal["off", "offline", "online"]
    project: str
    group: Annotated[str, Field(min_length=1, max_length=128)] | None  # of the run there, such as a sweep; null: the run's name
    tags: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...]  # of the run there
    system_metrics: bool  # W&B's own figures of the machine that the command runs on: CPU, GPU, memory, disk, network
    finish_seconds: NotNegative  # how long the end of training waits for W&B; `midtrain sync` pushes what is left


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class DeadlinesConfig:
    """How long a rank may be in each phase, in seconds, before the attempt is ended as hung."""

    start: Positive  # from the start of the attempt until every rank is at work: Ray, placement, imports, the process group
    load: Positive  # the model, and the checkpoint
    first_step: Positive  # the first batch and whatever is compiled included
    step: Positive  # the heartbeat
    save: Positive
    evaluate: Positive
    end: Positive


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class BudgetsConfig:
    """How many times a run is started again by itself, by the class of what stopped it, before it has made progress again."""

    preempted: CountOrNone  # nodes that the cluster takes away; a signal that asks to stop is obeyed
    infrastructure: CountOrNone
    data: CountOrNone
    numerics: CountOrNone
    bug: CountOrNone


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class PreemptionConfig:
    """What asks the run to stop, beside Ctrl-C, and how soon it has to be gone."""

    signals: tuple[Literal["TERM", "USR1", "USR2", "HUP"], ...]
    grace_seconds: Positive


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class SchedulingConfig:
    """The processes."""

    world_size: Count  # ranks
    min_world_size: Count | None  # with fewer nodes go on with as few; null: never with fewer than world_size
    gpus_per_rank: Annotated[int, Field(ge=0, le=1)]  # 0: CPU with gloo; 1: NCCL
    threads_per_rank: Count
    exclude_node_after: Count  # failures of ranks on a node, after which the command places none there
    deadlines: DeadlinesConfig
    budgets: BudgetsConfig
    preemption: PreemptionConfig

    def __post_init__(self) -> None:
        if self.min_world_size is not None and self.min_world_size > self.world_size:
            raise ValueError(f"min_world_size={self.min_world_size} is over world_size={self.world_size}. Lower it, or set it to null.")
