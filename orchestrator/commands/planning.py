"""From a configuration and prepared sources to a checked plan. Reads manifests, costs seconds, spends nothing (law 4)."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from orchestrator.commands.console import Console
from orchestrator.commands.probes import refuse_other_items
from orchestrator.config.data import MixtureConfig, StageConfig
from orchestrator.config.schema import Config
from orchestrator.config.training import SHORTEST_SEQUENCE_TOKENS, TrainingConfig
from orchestrator.errors import ConfigError, DataError
from orchestrator.evaluation.probe_sequences import probes_of
from orchestrator.mixture.apportion import exact
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.planning import make_plan
from orchestrator.mixture.subset import Subset, refuse_without_loss, subset_positions, subset_sequences
from orchestrator.mixture.wishes import Ratios, StageWish, Supply
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import version_of
from orchestrator.shards.epoch import layout_of, read_epoch, trained_tokens_of
from orchestrator.shards.manifest import Manifest, read_manifest
from orchestrator.shards.preparation import chat_template_of, source_request
from orchestrator.shards.vocabulary import Vocabulary, check_fits, load_vocabulary
from orchestrator.training.schedule import phases


def plan_run(config: Config) -> Plan:
    """Plan a run, and refuse one that cannot go well.

    Raises:
        OrchestratorError: what is wrong, before anything is spent on it.
    """
    plan = make_plan(
        checked_supplies(config),
        stage_wishes(config.mixture),
        total_tokens=config.mixture.total_tokens,
        sequence_length=config.training.sequence_length,
        sequences_per_step=config.training.sequences_per_step,
        seed=config.mixture.seed,
        request=mixture_request(config),
    )
    check_lengths(config, plan.steps)
    probes_of(config)
    return plan


def checked_supplies(config: Config) -> list[Supply]:
    """What the prepared sources hold.

    Raises:
        OrchestratorError: one is not prepared, or not as configured.
    """
    version = version_of(Path(config.model.path) / "tokenizer.json")
    vocabulary = _vocabulary(config.model.path, config.shards.document_separator, version)
    check_fits(vocabulary, config.model.path)
    manifests = [read_manifest(Path(config.shards.dir) / name, name) for name in config.sources]
    for manifest in manifests:
        _check_manifest(config, manifest, vocabulary)
    return [_supply(config, manifest) for manifest in manifests]


@lru_cache(maxsize=4)
def _vocabulary(path: str, separator: str | None, version: tuple[int, int, int]) -> Vocabulary:
    """A sweep plans hundreds of runs with the same one."""
    return load_vocabulary(path, separator)


def check_planned(run: RunDirectory, config: Config, plan: Plan) -> None:
    """Refuse a run whose plan does not follow from its configuration and the prepared sources any more, or whose probes are others.

    Raises:
        OrchestratorError: which of them has changed.
    """
    if mixture_request(config) != plan.request:
        raise ConfigError(
            f"{run.root}: config.yaml asks for another mixture or batch than plan.json was made for. Put it back; another mixture from a "
            f"later step on is `midtrain amend {run.root} --from-step S …`."
        )
    planned = {source.name: source for source in plan.sources}
    for supply in checked_supplies(config):
        source = planned[supply.name]
        if source != supply.planned:
            raise ConfigError(
                f"source {supply.name!r} is not prepared as it was when {run.root} was planned. Prepare it again from the same files, or "
                f"start a new run."
            )
    check_lengths(config, plan.steps)
    refuse_other_items(run, config)


def mixture_request(config: Config) -> str:
    """A hash of all that the configuration says of the mixture; another one is another plan."""
    sources = {name: [source.role, source.weight] for name, source in config.sources.items()}
    mixture = asdict(config.mixture)
    if not mixture["unique_tokens"]:
        del mixture["unique_tokens"]  # as it was before there was such a key, so that runs of then go on
    said = [sources, mixture, config.training.sequence_length, config.training.sequences_per_step]
    return xxhash.xxh3_128_hexdigest(json.dumps(said).encode())


def stage_wishes(mixture: MixtureConfig) -> list[StageWish]:
    """What the configuration asks of each stage; without stages, of the one that is the run."""
    if not mixture.stages:
        return [_wish("mixture", mixture)]
    return [
        replace(
            _wish(f"mixture.stages[{number}]", stage if stage.has_own_ratios else mixture),
            key=f"mixture.stages[{number}]",
            steps=stage.steps,
            tokens=stage.tokens,
        )
        for number, stage in enumerate(mixture.stages)
    ]


def _wish(key: str, given: MixtureConfig | StageConfig) -> StageWish:
    start = end = _ratios(given.spec_share, given.ratios)
    if isinstance(given, StageConfig) and (given.end_spec_share is not None or given.end_ratios):
        end = _ratios(given.end_spec_share, given.end_ratios)
    return StageWish(key=key, start=start, end=end, source_tokens=given.source_tokens, source_epochs=given.source_epochs)


def _ratios(spec_share: float | None, ratios: Mapping[str, float]) -> Ratios:
    shares = {name: exact(ratio) for name, ratio in ratios.items()}
    total = sum(shares.values())  # 1 within 1e-9, by the schema
    return Ratios(
        spec_share=None if spec_share is None else exact(spec_share), by_source={name: share / total for name, share in shares.items()}
    )


def _supply(config: Config, manifest: Manifest) -> Supply:
    layout = layout_of(config)
    epoch = read_epoch(Path(config.shards.dir) / manifest.name, manifest, "train", layout)
    whole = Subset(sequences=epoch.sequences, trained_tokens=epoch.trained_tokens)
    unique_tokens = config.mixture.unique_tokens.get(manifest.name)
    return Supply(
        name=manifest.name,
        role=manifest.role,
        fingerprint=layout.fingerprint(manifest),
        unique_sequences=whole.sequences,
        trained_tokens=whole.trained_tokens,
        subset=None if unique_tokens is None else _subset(config, manifest, whole, unique_tokens),
        weight=exact(config.sources[manifest.name].weight),
        max_epochs=config.mixture.max_epochs.get(manifest.name, 1.0),
    )


def _subset(config: Config, manifest: Manifest, whole: Subset, unique_tokens: int) -> Subset:
    """So many unique tokens of a source, by the mean of its sequences, and how many they are exactly."""
    name, layout = manifest.name, layout_of(config)
    num = subset_sequences(unique_tokens, whole, source_name=name)
    positions = subset_positions(np.arange(num, dtype=np.int64), unique_sequences=whole.sequences, source_name=name)
    trained = trained_tokens_of(Path(config.shards.dir) / name, manifest, "train", layout, positions)
    subset = Subset(sequences=num, trained_tokens=trained)
    refuse_without_loss(subset, whole, source_name=name)
    return subset


def _check_manifest(config: Config, manifest: Manifest, vocabulary: Vocabulary) -> None:
    name, source = manifest.name, config.sources[manifest.name]
    if (manifest.tokenizer, manifest.separator_id) != (vocabulary.fingerprint, vocabulary.separator_id):
        raise ConfigError(
            f"source {name!r} was prepared with another tokenizer or document separator than those of model.path={config.model.path}. "
            f"Run `midtrain prepare` again, or set shards.dir to the shards of this model."
        )
    if manifest.role != source.role:
        raise ConfigError(
            f"source {name!r} was prepared with role {manifest.role} and is configured as {source.role}. Run `midtrain prepare` again."
        )
    chat = chat_template_of(source, config.model.path)
    if manifest.request != source_request(name, config.sources, config.corpus, chat):
        raise ConfigError(
            f"source {name!r} was prepared from other paths or held-out documents, or with another text_field, markdown, messages_field, "
            f"masked_prefix, chat template, corpus.max_document_tokens, duplicates, evaluation_sets or allowed_overlap. "
            f"Run `midtrain prepare` again."
        )
    _check_epochs(config, manifest)


def _check_epochs(config: Config, manifest: Manifest) -> None:
    """Every split that is used must have something to train or to measure."""
    name, source, layout = manifest.name, config.sources[manifest.name], layout_of(config)
    length = layout.sequence_length
    kept_back = bool(source.heldout_paths) or source.heldout_share > 0
    for split, needed in (("train", True), ("heldout", kept_back)):
        epoch = read_epoch(Path(config.shards.dir) / name, manifest, split, layout) if needed else None
        if epoch and not epoch.trained_tokens and manifest.tokens(split) > length:
            raise DataError(
                f"source {name!r}: none of its {manifest.tokens(split):,} {split} tokens carries loss: masked_prefix, the chat template or "
                f"feed.document_attention={config.feed.document_attention} takes it from all of them. Give it other documents."
            )
        if epoch and not epoch.trained_tokens:
            shorter = manifest.tokens(split) - 1
            remedy = f", or shorten the sequence to {shorter}" if shorter >= SHORTEST_SEQUENCE_TOKENS else ""
            raise DataError(
                f"source {name!r} has {manifest.tokens(split):,} {split} tokens, less than training.sequence_length={length} and its last "
                f"label. Give it more text{remedy}."
            )


def check_lengths(config: Config, steps: int) -> None:
    """What is counted in steps must fit the run."""
    _check_phases(config.training, steps)
    for key, every in (
        ("checkpoints.every_steps", config.checkpoints.every_steps),
        ("evaluation.every_steps", config.evaluation.every_steps),
    ):
        if every > steps:
            raise ConfigError(
                f"{key}={every} is longer than the run of {steps} steps, so nothing would happen before its end. Set it to {steps} or less."
            )


def _check_phases(training: TrainingConfig, steps: int) -> None:
    """The warm-up and the decay must leave the peak rate a step."""
    parts = phases(training, steps)
    if parts.warmup >= steps:
        key, value, remedy = (
            ("warmup_steps", training.warmup_steps, max(0, steps // 20))
            if training.warmup_share is None
            else ("warmup_share", training.warmup_share, 0.05)
        )
        raise ConfigError(
            f"training.{key}={value} is not shorter than the run of {steps} steps, so the peak rate would never be used. Set it to "
            f"{remedy}, or train more tokens."
        )
    if parts.stable < 0:
        raise ConfigError(
            f"a warm-up of {parts.warmup} steps and training.decay_share={training.decay_share}, {parts.decay} steps, are longer than the "
            f"run of {steps}. Set training.decay_share to {(steps - parts.warmup) / steps:.3g} or less, or shorten the warm-up."
        )


def show_plan(summary: dict[str, Any], config: Config, console: Console) -> None:
    """The plan as a table, and its stages as another where there are several."""
    columns = ["source", "role", "share", "asked", "tokens", "sequences", "rounding", "epochs", "steps", "updates"]
    rows = [
        [
            row["name"],
            row["role"],
            f"{row['share']:.4%}",
            f"{row['asked_share']:.4%}",
            f"{row['trained_tokens']:,}",
            f"{row['sequences']:,}",
            f"{row['rounding_sequences']:+.2f}",
            f"{row['epochs']:.3f} of {config.mixture.max_epochs.get(row['name'], 1.0):g}",
            f"{row['first_step']:,} to {row['last_step']:,}" if row["first_step"] else "never",
            f"{row['updates']:,}",
        ]
        for row in summary["sources"]
    ]
    if any("whole_tokens" in row for row in summary["sources"]):
        columns.append("unique tokens")
        for shown, row in zip(rows, summary["sources"], strict=True):
            shown.append(f"{row['unique_tokens']:,} of {row['whole_tokens']:,}" if "whole_tokens" in row else f"{row['unique_tokens']:,}")
    console.table(
        f"{summary['steps']:,} steps of {summary['sequences_per_step']:,} sequences of {summary['sequence_length']:,} tokens", columns, rows
    )
    if len(summary["stages"]) > 1 or any(_is_ramp(stage) for stage in summary["stages"]):
        _show_stages(summary, console)
    micro, world = config.training.micro_batch, config.scheduling.world_size
    parts = phases(config.training, summary["steps"])
    console.say(
        f"{summary['tokens']:,} of {config.mixture.total_tokens:,} tokens asked for (whole steps). A step: {world} ranks x micro batch "
        f"{micro} x gradient accumulation {config.training.sequences_per_step // (micro * world)}. Learning rate: {parts.warmup:,} "
        f"steps of warm-up, {config.training.schedule}."
    )


def _is_ramp(stage: dict[str, Any]) -> bool:
    return any(source["start_share"] != source["end_share"] for source in stage["sources"])


def _show_stages(summary: dict[str, Any], console: Console) -> None:
    """A row a stage and source: its share of the sequences, and how many they are."""
    rows = [
        [
            f"{number}: {stage['first_step']:,} to {stage['last_step']:,}" if index == 0 else "",
            source["name"],
            f"{source['start_share']:.4%}" if source["start_share"] == source["end_share"] else _ramp(source),
            f"{source['sequences']:,}",
        ]
        for number, stage in enumerate(summary["stages"], 1)
        for index, source in enumerate(stage["sources"])
    ]
    console.table("stages", ["stage: steps", "source", "share of sequences", "sequences"], rows)


def _ramp(source: dict[str, Any]) -> str:
    return f"{source['start_share']:.4%} to {source['end_share']:.4%}"
