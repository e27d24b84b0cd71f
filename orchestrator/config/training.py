"""The configuration of the model and its optimisation."""

from typing import Annotated, Literal

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
class NumericsConfig:
    """What happens to an update that would do harm. To roll back is to go to the newest checkpoint and to skip all steps from there."""

    nonfinite: Literal["skip", "rollback", "stop"]  # NaN or infinity in a loss or a gradient
    spike: Literal["ignore", "skip", "rollback", "stop"]  # a loss far above those of the updates before
    spike_sigmas: Positive  # how far above their median, in (robust) standard deviations
    window_steps: Count  # how many updates are looked back on
    max_skipped_steps: CountOrNone  # of the whole run; one more ends it


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
    schedule: Literal["constant", "linear", "cosine"]  # after the warm-up
    warmup_steps: CountOrNone
    final_learning_rate_share: Share  # of learning_rate, at the last step
    weight_decay: NotNegative
    adam_beta1: Decay
    adam_beta2: Decay
    gradient_clip: Positive  # global norm
    numerics: NumericsConfig
    seed: CountOrNone
    log_every_steps: Count

    def __post_init__(self) -> None:
        if self.precision == "bf16" and self.zero_stage == 0:  # DeepSpeed counts an update of zeros first there, and Adam's steps are off
            raise ValueError("precision=bf16 at zero_stage=0 trains with other numbers than every other stage. Set zero_stage to 1.")
