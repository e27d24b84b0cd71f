"""From a configuration and prepared sources to a checked plan. Reads manifests, costs seconds, spends nothing (law 4)."""

from pathlib import Path
from typing import Any

from orchestrator.commands.console import Console
from orchestrator.config.schema import SHORTEST_SEQUENCE_TOKENS, Config
from orchestrator.errors import ConfigError, DataError
from orchestrator.mixture.apportion import exact
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.planning import Supply, make_plan, shares_from_spec_share
from orchestrator.shards.epoch import Layout, read_epoch
from orchestrator.shards.manifest import Manifest, read_manifest
from orchestrator.shards.preparation import chat_template_of, source_request
from orchestrator.shards.vocabulary import Vocabulary, check_fits, load_vocabulary


def plan_run(config: Config) -> Plan:
    """Plan a run, and refuse one that cannot go well.

    Raises:
        OrchestratorError: what is wrong, before anything is spent on it.
    """
    vocabulary = load_vocabulary(config.model.path, config.shards.document_separator)
    check_fits(vocabulary, config.model.path)
    manifests = [read_manifest(Path(config.shards.dir) / name, name) for name in config.sources]
    for manifest in manifests:
        _check_manifest(config, manifest, vocabulary)
    plan = make_plan(
        _supplies(config, manifests),
        total_tokens=config.mixture.total_tokens,
        sequence_length=config.training.sequence_length,
        sequences_per_step=config.training.sequences_per_step,
        seed=config.mixture.seed,
    )
    _check_lengths(config, plan.steps)
    return plan


def _supplies(config: Config, manifests: list[Manifest]) -> list[Supply]:
    roles = {name: source.role for name, source in config.sources.items()}
    if config.mixture.spec_share is None:
        given = {name: exact(config.mixture.ratios[name]) for name in roles}
        shares = {name: share / sum(given.values()) for name, share in given.items()}  # sums to 1 within 1e-9, by the schema
    else:
        weights = {name: source.weight for name, source in config.sources.items()}
        shares = shares_from_spec_share(config.mixture.spec_share, dict(roles), weights)
    layout = _layout(config)
    return [
        Supply(
            name=manifest.name,
            role=manifest.role,
            fingerprint=layout.fingerprint(manifest),
            unique_sequences=read_epoch(Path(config.shards.dir) / manifest.name, manifest, "train", layout).sequences,
            asked_share=shares[manifest.name],
            max_epochs=config.mixture.max_epochs.get(manifest.name, 1.0),
        )
        for manifest in manifests
    ]


def _layout(config: Config) -> Layout:
    return Layout(
        packing=config.shards.packing,
        sequence_length=config.training.sequence_length,
        document_attention=config.feed.document_attention,
    )


def _check_manifest(config: Config, manifest: Manifest, vocabulary: Vocabulary) -> None:
    name, source = manifest.name, config.sources[manifest.name]
    if (manifest.tokenizer, manifest.separator_id) != (vocabulary.fingerprint, vocabulary.separator_id):
        raise ConfigError(
            f"source {name!r} was prepared with another tokenizer or document separator than those of model.path={config.model.path}. "
            f"Run `midtrain prepare` again, or set shards.dir to the shards of this model."
        )
    if manifest.request != source_request(source, config.corpus.max_document_tokens, chat_template_of(source, config.model.path)):
        raise ConfigError(
            f"source {name!r} was prepared from other paths or held-out documents, or with another text_field, markdown, messages_field, "
            f"masked_prefix, chat template or corpus.max_document_tokens. Run `midtrain prepare` again."
        )
    if manifest.role != source.role:
        raise ConfigError(
            f"source {name!r} was prepared with role {manifest.role} and is configured as {source.role}. Run `midtrain prepare` again."
        )
    _check_epochs(config, manifest)


def _check_epochs(config: Config, manifest: Manifest) -> None:
    """Every split that is used must have something to train or to measure."""
    name, source, layout = manifest.name, config.sources[manifest.name], _layout(config)
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


def _check_lengths(config: Config, steps: int) -> None:
    """What is counted in steps must fit the run."""
    if config.training.warmup_steps >= steps:
        raise ConfigError(
            f"training.warmup_steps={config.training.warmup_steps} is not shorter than the run of {steps} steps, so the peak rate would "
            f"never be used. Set it to {max(0, steps // 20)}, or train more tokens."
        )
    for key, every in (
        ("checkpoints.every_steps", config.checkpoints.every_steps),
        ("evaluation.every_steps", config.evaluation.every_steps),
    ):
        if every > steps:
            raise ConfigError(
                f"{key}={every} is longer than the run of {steps} steps, so nothing would happen before its end. Set it to {steps} or less."
            )


def show_plan(summary: dict[str, Any], config: Config, console: Console) -> None:
    """The plan as a table."""
    columns = ["source", "role", "share", "asked", "tokens", "sequences", "epochs", "steps", "updates"]
    rows = [
        [
            row["name"],
            row["role"],
            f"{row['share']:.4%}",
            f"{row['asked_share']:.4%}",
            f"{row['trained_tokens']:,}",
            f"{row['sequences']:,}",
            f"{row['epochs']:.3f} of {config.mixture.max_epochs.get(row['name'], 1.0):g}",
            f"{row['first_step']:,} to {row['last_step']:,}" if row["first_step"] else "never",
            f"{row['updates']:,}",
        ]
        for row in summary["sources"]
    ]
    console.table(
        f"{summary['steps']:,} steps of {summary['sequences_per_step']:,} sequences of {summary['sequence_length']:,} tokens", columns, rows
    )
    micro, world = config.training.micro_batch, config.scheduling.world_size
    console.say(
        f"{summary['tokens']:,} of {config.mixture.total_tokens:,} tokens asked for (whole steps). A step: {world} ranks x micro batch "
        f"{micro} x gradient accumulation {config.training.sequences_per_step // (micro * world)}."
    )
