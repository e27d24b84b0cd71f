"""What the tests of the training options do on a rank."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from orchestrator.config.load import load_config
from orchestrator.config.schema import Config
from orchestrator.training.engine import Engine
from tests.support.tiny import overrides
from tests.training.ranks import steps_of

DROPPING = "{rank:4,alpha:8.0,dropout:0.1,targets:[q_proj,down_proj]}"
OPTIONS: Mapping[str, Mapping[str, object]] = {
    **{f"bf16 {stage}": {"zero_stage": stage, "precision": "bf16"} for stage in range(4)},
    **{f"adapters bf16 {stage}": {"zero_stage": stage, "precision": "bf16", "lora": DROPPING} for stage in range(4)},
    **{f"adapters fp32 {stage}": {"zero_stage": stage, "lora": DROPPING} for stage in range(4)},
    **{f"plain {stage}": {"zero_stage": stage} for stage in range(4)},
    **{f"optimizer on cpu {stage}": {"zero_stage": stage, "offload.optimizer": "cpu"} for stage in (1, 2, 3)},
    "parameters on cpu": {"zero_stage": 3, "offload.parameters": "cpu"},
    "all on cpu": {"zero_stage": 3, "offload.optimizer": "cpu", "offload.parameters": "cpu"},
    "eager": {"attention": "eager"},
}
RESUMED = ("bf16 0", "adapters bf16 0", "optimizer on cpu 2", "all on cpu")
ON_DISK = {"zero_stage": 3, "offload.parameters": "nvme"}


def config_of(folder: str, changes: Mapping[str, object]) -> Config:
    """The tiny experiment with some options of the group `training`."""
    return load_config(
        overrides(Path(folder), **{"model.initialise": "pretrained", **{f"training.{key}": changes[key] for key in changes}})
    )


def losses_with_every_option(folder: str) -> dict[str, Any]:
    """Losses and gradient norms of a few steps from the same weights."""
    found = {}
    for name, changes in OPTIONS.items():
        config = config_of(folder, changes)
        found[name] = steps_of(Engine(config.model, config.training, 2), range(4))
    return found


def losses_around_a_resume_with_options(folder: str) -> dict[str, Any]:
    """Of a straight run, and of one that is saved, made anew, trained with something else, and loaded."""
    return {name: _resumed(folder, name, OPTIONS[name]) for name in RESUMED}


def losses_around_a_resume_with_parameters_on_disk(folder: str) -> dict[str, Any]:
    """The same with weights in files, the size of which is told, too, and without."""
    on_disk = _resumed(folder, "on disk", {**ON_DISK, "offload.nvme_path": f"{folder}/fast"})
    sizes = [path.stat().st_size for path in Path(folder, "fast").rglob("*.swp")]
    return on_disk | {"bytes": sum(sizes), "plain": _resumed(folder, "in memory", {"zero_stage": 3})["straight"]}


def _resumed(folder: str, name: str, changes: Mapping[str, object]) -> dict[str, Any]:
    config = config_of(folder, changes)
    engine = Engine(config.model, config.training, 2)
    steps_of(engine, range(2))
    checkpoint = Path(folder) / name
    engine.save(checkpoint, {"step": 2})
    straight = steps_of(engine, range(2, 4))
    torch.distributed.barrier()
    other = Engine(config.model, config.training, 2)
    steps_of(other, range(9, 10))
    other.load(checkpoint)
    return {"straight": straight, "resumed": steps_of(other, range(2, 4))}
