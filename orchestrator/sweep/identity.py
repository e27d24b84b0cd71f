"""What tells trials apart: the content of their configuration, and nothing of where or how they run."""

import json
import re
from collections.abc import Mapping
from typing import Any

import xxhash

from orchestrator.sweep.settings import SPEC, TrialWish, Value

_LABEL_CHARACTERS, _HASH_CHARACTERS = 64, 8
_TAG_CHARACTERS = 64  # that W&B takes
_MEASURED = ("corpus", "shards")


def trial_id(wish: TrialWish, values: Mapping[str, Any], plan_fingerprint: str) -> str:
    """A name that is the same for the same trial, whenever and wherever it is made, and for no other.

    Args:
        wish: for what people read of it.
        values: its configuration, as nested values.
        plan_fingerprint: what is trained when, and of which content.
    """
    training = {key: value for key, value in values["training"].items() if key not in ("log_every_steps", "peak_tflops_per_rank")}
    model = {key: value for key, value in values["model"].items() if key != "description"}
    attention = values["feed"]["document_attention"]
    measured = [values["evaluation"]["max_sequences"], values["shards"]["packing"], attention]
    probes = values["evaluation"].get("probes")
    content = [plan_fingerprint, model, training, *measured, *([probes] if probes else [])]  # as it was before there were probes
    digest = xxhash.xxh3_64_hexdigest(json.dumps(content, sort_keys=True).encode())[:_HASH_CHARACTERS]
    return f"{_label(wish)}-{digest}"


def tags_of(wish: TrialWish) -> list[str]:
    """What W&B's runs of a sweep can be told apart by: the arm, each value, and the seed."""
    values = [f"{key.rpartition('.')[2]}={_short(value)}" for key, value in wish.setting.items()]
    return [tag[:_TAG_CHARACTERS] for tag in (wish.arm, *values, f"seed={wish.seed}")]


def frame(values: Mapping[str, Any]) -> dict[str, Any]:
    """What all trials of a sweep have in common, so that what they measure can be compared."""
    return {
        "model.path": values["model"]["path"],
        "model.initialise": values["model"]["initialise"],
        "sources": values["sources"],
        **{group: values[group] for group in _MEASURED},
        "evaluation": {"probes": {}} | values["evaluation"],  # older sweeps lack the key
        "training.sequence_length": values["training"]["sequence_length"],
        "feed.document_attention": values["feed"]["document_attention"],
    }


def _label(wish: TrialWish) -> str:
    parts = [] if wish.arm == SPEC else [wish.arm]
    parts += [f"{key.rpartition('.')[2]}-{_short(value)}" for key, value in wish.setting.items()] + [f"seed-{wish.seed}"]
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", "_".join(parts))[:_LABEL_CHARACTERS].strip("-_.") or wish.arm


def _short(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
