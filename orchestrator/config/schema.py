"""The configuration's groups as frozen, strict dataclasses. What one group alone can check, it checks here, once."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from orchestrator.config.values import Count, CountOrNone, Decay, Folder, Name, NotNegative, Paths, Positive, Share

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

SHORTEST_SEQUENCE_TOKENS = 8


@dataclass(frozen=True, kw_only=True, slots=True, config=_STRICT)
class RunConfig:
    """Which run this is and where it lives."""

    name: Name
    dir: Folder | None  # the run directory; null: runs/<name>


@dataclass(frozen=True, kw_only=True, slots=True, config=_STRICT)
class ModelConfig:
    """The base model, any Hugging Face causal language model."""

    path: str  # a local directory or a hub name
    initialise: Literal["pretrained", "scratch"]  # scratch: only its config and tokenizer are used
    description: str  # what the report calls it; empty: its path


@dataclass(frozen=True, kw_only=True, slots=True, config=_STRICT)
class SourceConfig:
    """A named corpus."""

    role: Literal["spec", "general"]
    paths: Annotated[Paths, Field(min_length=1)]  # files, directories or globs, local or as URLs
    heldout_paths: Paths = ()  # documents to measure with, not to train on; the files may not be among paths
    heldout_share: Share = 0.0  # share of the documents of `paths` kept back when there are no heldout_paths
    text_field: str = "text"  # of JSONL and Parquet
    messages_field: str | None = None  # of JSONL and Parquet: a list of role and content, for the chat template; null: texts
    markdown: Literal["file", "section"] = "file"  # what is a document of a .md file
    masked_prefix: Annotated[str, Field(min_length=1)] | None = None  # put before every document, as context that carries no loss
    weight: NotNegative = 1.0  # among the sources of its side of mixture.spec_share

    def __post_init__(self) -> None:
        if self.heldout_paths and self.heldout_share:
            raise ValueError(f"heldout_paths and heldout_share={self.heldout_share:g} exclude each other. Set one of them.")
        if self.messages_field is not None and self.text_field != "text":
            raise ValueError(
                f"messages_field={self.messages_field} and text_field={self.text_field} exclude each other. Leave text_field out."
            )


@dataclass(frozen=True, kw_only=True, slots=True, config=_STRICT)
class CorpusConfig:
    """What may be amiss with the sources."""

    max_reject_share: Share  # of the things read from a source, those that were not documents
    max_document_tokens: Count | None  # a longer document is rejected; null: any length
    duplicates: Literal["report", "remove"]  # of a document that occurred before: train it again, or leave it out
    evaluation_sets: dict[Name, Annotated[Paths, Field(min_length=1)]]  # name -> files, as those of sources, that must not be trained on
    allowed_overlap: tuple[str, ...]  # names of evaluation sets that may be trained on nevertheless

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.allowed_overlap) - set(self.evaluation_sets)):
            sets = ", ".join(self.evaluation_sets) or "none"
            raise ValueError(f"allowed_overlap names {unknown[0]!r}, which is not an evaluation set. corpus.evaluation_sets: {sets}.")


@dataclass(frozen=True, kw_only=True, slots=True, config=_STRICT)
class ShardsConfig:
    """Token shards on disk."""

    dir: Folder  # where prepared sources live, one directory each
    document_separator: str | None  # the token after every document; null: the tokenizer's end of text
    shard_bytes: Count  # input bytes that go into one shard; a file is never split over two
    packing: Literal["concatenate", "best_fit"]  # sequences are cut out of the stream, or documents are put whole into them


@dataclass(frozen=True, kw_only=True, slots=True, config=_STRICT)
class StageConfig:
    """A stretch of the run with ratios of its own; one that names none of them has the mixture's."""

    steps: Count | None = None  # its length, or
    tokens: Count | None = None  # its length, cut to whole steps; one stage may have neither: it takes the rest
    spec_share: Share | None = None
    end_spec_share: Share | None = None  # at its last step: spec_share goes there along a line
    ratios: dict[str, Share] = field(default_factory=dict)
    end_ratios: dict[str, Share] = field(default_factory=dict)
    source_tokens: dict[str, Count] = field(default_factory=dict)  # source name -> trained tokens in this stage
    source_epochs: dict[str, Positive] = field(default_factory=dict)  # source name -> passes over it in this stage

    @property
    def has_own_ratios(self) -> bool:
        return self.spec_share is not None or bool(self.ratios or self.source_tokens or self.source_epochs)

    def __post_init__(self) -> None:
        if self.steps is not None and self.tokens is not None:
            raise ValueError(f"steps={self.steps} and tokens={self.tokens} both give its length. Set one of them.")
        if (self.end_spec_share is not None and self.spec_share is None) or (self.end_ratios and not self.ratios):
            raise ValueError("a ramp has an end without a start. Give spec_share with end_spec_share, ratios with end_ratios.")
        _check_ratios(self)
        _check_sum("end_ratios", self.end_ratios)


@dataclass(frozen=True, kw_only=True, slots=True, config=_STRICT)
class MixtureConfig:
    """How much of what is trained."""

    total_tokens: Count  # the budget; cut to whole steps
    spec_share: Share | None  # the one dial: the spec sources' share of trained tokens
    ratios: dict[str, Share]  # instead of the dial: every source's share; they sum to 1
    source_tokens: dict[str, Count]  # source name -> trained tokens, instead of a share
    source_epochs: dict[str, Positive]  # source name -> passes over it, instead of a share
    max_epochs: dict[str, Positive]  # source name -> most passes over its unique tokens; a source not named: 1
    stages: tuple[StageConfig, ...]  # stretches with ratios of their own, in order; none: the whole run is one
    seed: CountOrNone

    def __post_init__(self) -> None:
        _check_ratios(self)
        if self.spec_share is None and not (self.ratios or self.source_tokens or self.source_epochs):
            raise ValueError(
                "spec_share=null and ratios={} leave the spec's part open. Set one of them, or source_tokens or source_epochs."
            )


def _check_ratios(given: StageConfig | MixtureConfig) -> None:
    """What says the same thing twice."""
    if given.spec_share is not None and given.ratios:
        raise ValueError(
            f"spec_share={given.spec_share} and ratios={dict(given.ratios)} exclude each other. Set the other to null (spec_share) or "
            f"{{}} (ratios)."
        )
    counted = {**given.source_tokens, **given.source_epochs}
    if counted and given.ratios:
        raise ValueError(f"ratios give every source its share, and {next(iter(counted))} has tokens or epochs besides. Leave one out.")
    if twice := sorted(set(given.source_tokens) & set(given.source_epochs)):
        raise ValueError(f"source {twice[0]!r} is given by source_tokens and by source_epochs. Leave one out.")
    _check_sum("ratios", given.ratios)


def _check_sum(key: str, ratios: dict[str, float]) -> None:
    total = math.fsum(ratios.values())
    if ratios and not math.isclose(total, 1.0, abs_tol=1e-9):
        raise ValueError(
            f"{key} must sum to 1, got {total:.6g} from {dict(ratios)}. "
            f"Divide each by {total:.6g}, or set mixture.spec_share and give the rest as weights."
        )


@dataclass(frozen=True, kw_only=True, slots=True, config=_STRICT)
class FeedConfig:
    """The data-mixing workers."""

    workers: Count  # Ray actors that build blocks, on every node that ranks can be on
    on_cpu_nodes: bool  # as many on every node without GPUs, for all ranks
    block_bytes: Count  # token bytes of a block of steps, for one rank
    prefetch_blocks: Count  # blocks that a rank asks for ahead
    document_attention: bool  # attention and positions within a document, no loss from one to the next; false: over the whole sequence


@dataclass(frozen=True, kw_only=True, slots=True, config=_STRICT)
class LoraConfig:
    """Low-rank adapters (Hu et al., "LoRA", 2021) on all attention and MLP projections."""

    rank: Count
    alpha: Positive  # what an adapter adds is scaled by alpha / rank


@dataclass(frozen=True, kw_only=True, slots=True, config=_STRICT)
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
    seed: CountOrNone
    log_every_steps: Count

    def __post_init__(self) -> None:
        if self.precision == "bf16" and self.zero_stage == 0:  # DeepSpeed counts an update of zeros first there, and Adam's steps are off
            raise ValueError("precision=bf16 at zero_stage=0 trains with other numbers than every other stage. Set zero_stage to 1.")


def facts_of_training(training: TrainingConfig) -> dict[str, Any]:
    """What a checkpoint holds the consequences of, so that a run that is resumed cannot change it. Values of JSON's types."""
    names = ("zero_stage", "precision", "gradient_clip", "weight_decay", "adam_beta1", "adam_beta2")
    lora = {"rank": training.lora.rank, "alpha": training.lora.alpha} if training.lora else None
    return {name: getattr(training, name) for name in names} | {"lora": lora}


@dataclass(frozen=True, kw_only=True, slots=True, config=_STRICT)
class CheckpointsConfig:
    """When the run is saved; it always is after its last step."""

    every_steps: Count


@dataclass(frozen=True, kw_only=True, slots=True, config=_STRICT)
class EvaluationConfig:
    """Held-out loss by source; it is always measured before the first step and after the last."""

    every_steps: Count
    max_sequences: Count  # of each source, evenly spread over its held-out documents


@dataclass(frozen=True, kw_only=True, slots=True, config=_STRICT)
class TrackingConfig:
    """Weights & Biases, a mirror of the run directory. Its key comes from the environment only."""

    wandb: Literal["off", "offline", "online"]
    project: str


@dataclass(frozen=True, kw_only=True, slots=True, config=_STRICT)
class SchedulingConfig:
    """The processes."""

    world_size: Count  # ranks
    gpus_per_rank: CountOrNone  # 0: CPU with gloo
    threads_per_rank: Count


@dataclass(frozen=True, kw_only=True, slots=True, config=_STRICT)
class Config:
    """A whole run, resolved. What several groups decide together is checked here."""

    run: RunConfig
    model: ModelConfig
    sources: Annotated[dict[Name, SourceConfig], Field(min_length=1)]
    corpus: CorpusConfig
    shards: ShardsConfig
    mixture: MixtureConfig
    feed: FeedConfig
    training: TrainingConfig
    checkpoints: CheckpointsConfig
    evaluation: EvaluationConfig
    tracking: TrackingConfig
    scheduling: SchedulingConfig

    def __post_init__(self) -> None:
        for key, names, is_complete in _names_of_sources(self.mixture):
            if unknown := sorted(set(names) - set(self.sources)):
                raise ValueError(f"{key} names {unknown[0]!r}, which is not a source. Sources: {', '.join(self.sources)}.")
            if is_complete and names and (missing := sorted(set(self.sources) - set(names))):
                raise ValueError(f"{key} has no ratio for source {missing[0]!r}. Give one; 0 leaves it out.")
        self._check_batch()

    def _check_batch(self) -> None:
        micro, world = self.training.micro_batch, self.scheduling.world_size
        if self.training.sequences_per_step % (micro * world):
            unit = micro * world
            near = max(1, round(self.training.sequences_per_step / unit)) * unit
            raise ValueError(
                f"training.sequences_per_step={self.training.sequences_per_step} is not a multiple of training.micro_batch={micro} x "
                f"scheduling.world_size={world}. Set it to {near}, or change the other two."
            )


def _names_of_sources(mixture: MixtureConfig) -> Iterator[tuple[str, Mapping[str, float], bool]]:
    """Every key of the mixture that names sources, what it says of them, and whether it must name all."""
    yield "mixture.max_epochs", mixture.max_epochs, False
    yield from _names_of_wish("mixture", mixture)
    for number, stage in enumerate(mixture.stages):
        yield from _names_of_wish(f"mixture.stages[{number}]", stage)
        yield f"mixture.stages[{number}].end_ratios", stage.end_ratios, True


def _names_of_wish(key: str, given: MixtureConfig | StageConfig) -> Iterator[tuple[str, Mapping[str, float], bool]]:
    yield f"{key}.ratios", given.ratios, True
    yield f"{key}.source_tokens", given.source_tokens, False
    yield f"{key}.source_epochs", given.source_epochs, False
