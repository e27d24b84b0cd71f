"""A whole run's configuration: its groups as frozen, strict dataclasses. What one group alone can check, it checks itself, once."""

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from orchestrator.config.data import CorpusConfig, FeedConfig, MixtureConfig, ShardsConfig, SourceConfig, StageConfig
from orchestrator.config.operation import CheckpointsConfig, EvaluationConfig, RunConfig, SchedulingConfig, TrackingConfig
from orchestrator.config.training import ModelConfig, TrainingConfig
from orchestrator.config.values import STRICT, Name


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
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
        self._check_accelerator()

    def _check_batch(self) -> None:
        micro, world = self.training.micro_batch, self.scheduling.world_size
        if self.training.sequences_per_step % (micro * world):
            unit = micro * world
            near = max(1, round(self.training.sequences_per_step / unit)) * unit
            raise ValueError(
                f"training.sequences_per_step={self.training.sequences_per_step} is not a multiple of training.micro_batch={micro} x "
                f"scheduling.world_size={world}. Set it to {near}, or change the other two."
            )

    def _check_accelerator(self) -> None:
        wishes = {"liger=true": self.training.liger, "attention=flash_attention_2": self.training.attention == "flash_attention_2"}
        for wish, is_wished in wishes.items():
            if is_wished and not self.scheduling.gpus_per_rank:
                raise ValueError(
                    f"training.{wish} has kernels for GPUs only, and scheduling.gpus_per_rank=0. Raise that, or leave this out."
                )


def _names_of_sources(mixture: MixtureConfig) -> Iterator[tuple[str, Mapping[str, float], bool]]:
    """Every key of the mixture that names sources, what it says of them, and whether it must name all."""
    yield "mixture.max_epochs", mixture.max_epochs, False
    yield "mixture.unique_tokens", mixture.unique_tokens, False
    yield from _names_of_wish("mixture", mixture)
    for number, stage in enumerate(mixture.stages):
        yield from _names_of_wish(f"mixture.stages[{number}]", stage)
        yield f"mixture.stages[{number}].end_ratios", stage.end_ratios, True


def _names_of_wish(key: str, given: MixtureConfig | StageConfig) -> Iterator[tuple[str, Mapping[str, float], bool]]:
    yield f"{key}.ratios", given.ratios, True
    yield f"{key}.source_tokens", given.source_tokens, False
    yield f"{key}.source_epochs", given.source_epochs, False
