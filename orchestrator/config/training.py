"""The configuration of the model and its optimisation."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from orchestrator.config.values import STRICT, Count, CountOrNone, Decay, Folder, NotNegative, Positive, Share

SHORTEST_SEQUENCE_TOKENS = 8


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class ModelConfig:
    """The base model, any Hugging Face causal language model."""

    path: str  # a local directory or a hub name
    initialise: Literal["pretrained", "scratch"]  # scratch: only its config and tokenizer are used
    start_from: (
        Folder | None
    )  # a checkpoint of another run, whose weights and optimiser state this one begins with; null: a fresh optimiser
    description: str  # what the report calls it; empty: its path


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class LoraConfig:
    """Low-rank adapters (Hu et al., "LoRA", 2021)."""

    rank: Count
    alpha: Positive  # what an adapter adds is scaled by alpha / rank
    targets: tuple[str, ...] = ()  # endings of module names, such as q_proj; none: all attention and MLP projections
    dropout: Decay = 0.0  # of what goes into an adapter


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class OffloadConfig:
    """What leaves the accelerator between its uses, for the host's memory or for files (Rajbhandari et al., "ZeRO-Infinity", 2021)."""

    optimizer: Literal["none", "cpu", "nvme"]  # AdamW's moments and the float32 weights; the update is made by the CPU
    parameters: Literal["none", "cpu", "nvme"]
    nvme_path: Folder | None  # a directory on every node's own fast disk

    def __post_init__(self) -> None:
        if ("nvme" in (self.optimizer, self.parameters)) != (self.nvme_path is not None):
            raise ValueError(
                f"optimizer={self.optimizer} and parameters={self.parameters} with nvme_path={self.nvme_path or 'null'}: a path is given "
                f"for nvme, and for nothing else. Give a directory on a local disk, or set it to null."
            )


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
    offload: OffloadConfig
    activation_checkpointing: bool
    attention: Literal["auto", "flash_attention_2", "sdpa", "eager"]
    compile: bool  # torch.compile
    liger: bool  # Liger's kernels for norms, rotary positions and gated MLPs
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
    numerics: NumericsConfig
    seed: CountOrNone
    log_every_steps: Count
    peak_tflops_per_rank: Positive | None  # of the device, for the model FLOP utilisation; null: that of a GPU that is known

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
        for what, where in (("optimizer", self.offload.optimizer), ("parameters", self.offload.parameters)):
            needed = 0 if where == "none" else 1 if (what, where) == ("optimizer", "cpu") else 3
            if self.zero_stage < needed:
                raise ValueError(
                    f"offload.{what}={where} needs zero_stage={needed} or more, not {self.zero_stage}. Raise it, or set {what} to none."
                )
        if self.attention == "flash_attention_2" and self.precision == "fp32":
            raise ValueError("attention=flash_attention_2 has no kernel for precision=fp32. Set precision to bf16, or attention to sdpa.")


def _shown(value: float | None) -> str:
    return "null" if value is None else f"{value:g}"
