"""The configuration of the data: sources, what may be amiss with them, shards, mixture and feed."""

import math
from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from orchestrator.config.values import STRICT, Count, CountOrNone, Folder, Name, NotNegative, Paths, Positive, Share


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
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


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
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


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class ShardsConfig:
    """Token shards on disk."""

    dir: Folder  # where prepared sources live, one directory each
    document_separator: str | None  # the token after every document; null: the tokenizer's end of text
    shard_bytes: Count  # input bytes that go into one shard; a file is never split over two
    packing: Literal["concatenate", "best_fit"]  # sequences are cut out of the stream, or documents are put whole into them


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
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


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class MixtureConfig:
    """How much of what is trained."""

    total_tokens: Count  # the budget; cut to whole steps
    spec_share: Share | None  # the one dial: the spec sources' share of trained tokens
    ratios: dict[str, Share]  # instead of the dial: every source's share; they sum to 1
    source_tokens: dict[str, Count]  # source name -> trained tokens, instead of a share
    source_epochs: dict[str, Positive]  # source name -> passes over it, instead of a share
    max_epochs: dict[str, Positive]  # source name -> most passes over its unique tokens; a source not named: 1
    unique_tokens: dict[str, Count] = field(default_factory=dict)  # source name -> trained tokens to use of it; older runs lack the key
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


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class FeedConfig:
    """The data-mixing workers."""

    workers: Count  # Ray actors that build blocks, on every node that ranks can be on
    on_cpu_nodes: bool  # as many on every node without GPUs, for all ranks
    block_bytes: Count  # of a block of steps, marks included, for one rank
    prefetch_blocks: Count  # blocks that a rank asks for ahead
    document_attention: bool  # attention and positions within a document, no loss from one to the next; false: over the whole sequence
