"""What tells trials apart: the content of their configuration, and nothing of where or how they run."""

import json
import re
from collections.abc import Mapping
from typing import Any

import xxhash

from orchestrator.sweep.settings import SPEC, TrialWish, Value

CONTENT_CHARACTERS = 12
_LABEL_CHARACTERS = 64
_TAG_CHARACTERS = 64  # that W&B takes


def content_of(values: Mapping[str, Any], plan_fingerprint: str) -> str:
    """A hash of what is trained and measured: the same for the same trial, whenever and wherever it is made, and for no other.

    Args:
        values: its configuration, nested, as it is once it has been checked: a number is written in one way.
        plan_fingerprint: what is trained when, and of which content.
    """
    training = {key: value for key, value in values["training"].items() if key not in ("log_every_steps", "peak_tflops_per_rank")}
    model = {key: value for key, value in values["model"].items() if key != "description"}
    attention = values["feed"]["document_attention"]
    measured = [values["evaluation"]["max_sequences"], values["shards"]["packing"], attention, values["evaluation"]["probes"]]
    content = [plan_fingerprint, model, training, *measured]
    return xxhash.xxh3_64_hexdigest(json.dumps(content, sort_keys=True).encode())[:CONTENT_CHARACTERS]


def trial_id(wish: TrialWish, content: str) -> str:
    """A name: for people what is varied, then the content."""
    return f"{_label(wish)}-{content}"


def content_in(name: str) -> str:
    """The content that a trial's name has."""
    return name.rpartition("-")[2]


def tags_of(wish: TrialWish) -> list[str]:
    """What W&B's runs of a sweep can be told apart by: the arm, each value, and the seed."""
    values = [f"{key.rpartition('.')[2]}={_short(value)}" for key, value in wish.setting.items()]
    return [tag[:_TAG_CHARACTERS] for tag in (wish.arm, *values, f"seed={wish.seed}")]


def _label(wish: TrialWish) -> str:
    parts = [] if wish.arm == SPEC else [wish.arm]
    parts += [f"{key.rpartition('.')[2]}-{_short(value)}" for key, value in wish.setting.items()] + [f"seed-{wish.seed}"]
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", "_".join(parts))[:_LABEL_CHARACTERS].strip("-_.") or wish.arm


def _short(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
