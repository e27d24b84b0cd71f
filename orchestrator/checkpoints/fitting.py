"""Whether a run, as it is configured now, can go on from a checkpoint."""

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.checkpoints.store import Checkpoint
from orchestrator.errors import CheckpointError
from orchestrator.mixture.plan import Plan

# Keys that may change between two attempts, by their beginnings. Data and mixture are the plan's, which has its own check.
MAY_CHANGE = (
    "run",
    "model.path",
    "model.description",
    "sources",
    "corpus",
    "shards",
    "mixture",
    "feed.workers",
    "feed.on_cpu_nodes",
    "feed.block_bytes",
    "feed.prefetch_blocks",
    "training.micro_batch",
    "training.zero_stage",
    "training.offload",
    "training.activation_checkpointing",
    "training.attention",
    "training.compile",
    "training.liger",
    "training.lora.dropout",
    "training.learning_rate",
    "training.schedule",
    "training.warmup_share",
    "training.warmup_steps",
    "training.initial_learning_rate_share",
    "training.decay_share",
    "training.final_learning_rate_share",
    "training.weight_decay",
    "training.adam_beta1",
    "training.adam_beta2",
    "training.gradient_clip",
    "training.log_every_steps",
    "training.peak_tflops_per_rank",
    "training.numerics",
    "checkpoints",
    "evaluation",
    "tracking",
    "scheduling",
)


def check_fits(checkpoint: Checkpoint, plan: Plan, config: Mapping[str, Any]) -> None:
    """Make sure that what was trained so far is what the run would have trained.

    Args:
        checkpoint: to go on from.
        plan: of the run.
        config: of the run, as nested values of JSON's types.

    Raises:
        CheckpointError: the plan is another, or a key was changed that may not.
    """
    if checkpoint.manifest.get("plan") not in plan.fingerprints_at(checkpoint.step):
        raise CheckpointError(
            f"{checkpoint.directory} was trained by another plan than {plan.fingerprint}, and no amendment of it leads there. "
            f"Restore the run's plan.json, or start a new run."
        )
    refused = [change for change in changes(checkpoint.manifest["config"], config) if not _may_change(change[0])]
    if refused:
        key, before, now = refused[0]
        raise CheckpointError(
            f"{checkpoint.directory} was trained with {key}={before}, and config.yaml has {key}={now} now. Set it back. On resume only "
            f"these may change: {', '.join(MAY_CHANGE)}."
        )


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The keys whose values differ: key, value before, value now."""
    left, right = dict(_flat(before)), dict(_flat(now))
    return [(key, left.get(key), right.get(key)) for key in sorted(left.keys() | right.keys()) if left.get(key) != right.get(key)]


def _may_change(key: str) -> bool:
    return any(key == allowed or key.startswith(f"{allowed}.") for allowed in MAY_CHANGE)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
