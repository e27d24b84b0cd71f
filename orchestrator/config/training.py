"""The configuration of the model and its optimisation."""

from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from orchestrator.config.values import STRICT, Count, CountOrNone, Decay, NotNegative, Positive, Share

SHORTEST_SEQUENCE_TOKENS = 8


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class ModelConfig:
    """The base model, any Hugging Face causal language model."""

    path: str  # a local directory or a hub name
    initialise: Literal["pretrained", "scratch"]  # scratch: only its config and tokenizer are used
    description: str  # what the report calls it; empty: its path


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class LoraConfig:
    """Low-rank adapters (Hu et al., "LoRA", 2021) on all attention and MLP projections."""

    rank: Count
    alpha: Positive  # what an adapter adds is scaled by alpha / rank


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class TrainingConfig:
    """The optimisation."""

    sequence_length: Annotated[int, Field(ge=SHORTEST_SEQUENCE_TOKENS)]  # tokens
    sequences_per_step: Count  # of one update, over all ranks: the global batch
    micro_batch: Count  # sequences of one forward pass of a rank; gradient accumulation follows
    precision: Literal["fp32", "bf16"]
    zero_stage: Annotated[int, Field(ge=0, le=3)]
    activation_checkpointing: bool
    lora: LoraConfig | None  # train adapters and freeze the base model; null: train all parameters
    learning_rate: Positive  # at its peak
    schedule: Literal["constant", "linear", "cosine", "warmup_stable_decay"]  # after the warm-up
    warmup_share: Share | None  # of the run's steps; null with warmup_steps
    warmup_steps: CountOrNone | None
    initial_learning_rate_share: Share  # of learning_rate, from which the warm-up rises
    decay_share: Share  # of the run's steps, its last ones: where warmup_stable_decay falls
    final_learning_rate_share: Share  # of learning_rate, at the last step
    weight_decay: NotNegative
    adam_beta1: Decay
    adam_beta2: Decay
    gradient_clip: Positive  # global norm
    seed: CountOrNone
    log_every_steps: Count

    def __post_init__(self) -> None:
        if (self.warmup_share is None) == (self.warmup_steps is None):
            raise ValueError(
                f"warmup_share={_shown(self.warmup_share)} and warmup_steps={_shown(self.warmup_steps)}: the warm-up is given by one of "
                f"the two. Set the other to null."
            )
        if self.initial_learning_rate_share and not (self.warmup_share or self.warmup_steps):
            raise ValueError(
                f"initial_learning_rate_share={self.initial_learning_rate_share:g} is where a warm-up begins, and there is none. Set it to "
                f"0, or give warmup_share or warmup_steps."
            )
        if self.schedule == "warmup_stable_decay" and not self.decay_share:
            raise ValueError("schedule=warmup_stable_decay with decay_share=0 never decays. Give decay_share, or set schedule to constant.")
        if self.precision == "bf16" and self.zero_stage == 0:  # DeepSpeed counts an update of zeros first there, and Adam's steps are off
            raise ValueError("precision=bf16 at zero_stage=0 trains with other numbers than every other stage. Set zero_stage to 1.")


def _shown(value: float | None) -> str:
    return "null" if value is None else f"{value:g}"


def facts_of_training(training: TrainingConfig) -> dict[str, Any]:
    """What a checkpoint holds the consequences of, so that a run that is resumed cannot change it. Values of JSON's types."""
    names = ("zero_stage", "precision", "gradient_clip", "weight_decay", "adam_beta1", "adam_beta2")
    lora = {"rank": training.lora.rank, "alpha": training.lora.alpha} if training.lora else None
    return {name: getattr(training, name) for name in names} | {"lora": lora}
