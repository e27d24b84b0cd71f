"""What the tests of the training options do on a rank."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from orchestrator.config.load import load_config
from orchestrator.config.schema import Config
from orchestrator.training.engine import Engine
from tests.checkpoints.engines import load, save
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
ON_DISK = {"zero_stage": 3, "offload.optimizer": "nvme", "offload.parameters": "nvme"}


def config_of(folder: str, changes: Mapping[str, object]) -> Config:
    """The tiny experiment with some options of the group `training`."""
    return load_config(
        overrides(Path(folder), **{"model.initialise": "pretrained", **{f"training.{key}": changes[key] for key in changes}})
    )


def losses_with_every_option(folder: str) -> dict[str, Any]:
    """Losses and gradient norms of a few steps from the same weights."""
    return {name: steps_of(_engine(folder, changes), range(4)) for name, changes in OPTIONS.items()}


def losses_around_a_resume_with_weights_and_moments_on_disk(folder: str) -> dict[str, Any]:
    """With all of it in files, whose size is told, too: straight on, and resumed; and the same steps with nothing in files."""
    engine = _engine(folder, ON_DISK | {"offload.nvme_path": f"{folder}/fast"})
    steps_of(engine, range(2))
    save(engine, Path(folder) / "saved", 2)
    found: dict[str, Any] = {"straight": steps_of(engine, range(2, 4))}
    found["bytes"] = sum(path.stat().st_size for path in Path(folder, "fast").rglob("*.swp"))
    torch.distributed.barrier()
    other = _engine(folder, ON_DISK | {"offload.nvme_path": f"{folder}/other"})
    load(other, Path(folder) / "saved", 2)
    found["resumed"] = steps_of(other, range(2, 4))
    found["plain"] = steps_of(_engine(folder, {"zero_stage": 3}), range(4))
    return found


def losses_when_compiled(folder: str) -> dict[str, Any]:
    """Of a few steps at the stages that differ most, and held-out losses between them."""
    found = {}
    for name in ("compiled 0", "plain 0", "compiled 3", "plain 3"):
        kind, stage = name.split()
        engine = _engine(folder, {"zero_stage": stage, "compile": str(kind == "compiled").lower()})
        sequences = torch.randint(0, 300, (2, 33), generator=torch.Generator().manual_seed(1))
        before = engine.heldout_losses(sequences).tolist()
        made = steps_of(engine, range(3))
        found[name] = [*before, *made["losses"], *engine.heldout_losses(sequences).tolist()]
    return found


def _engine(folder: str, changes: Mapping[str, object]) -> Engine:
    config = config_of(folder, changes)
    return Engine(config.model, config.training, 2)
