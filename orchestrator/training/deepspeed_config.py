"""DeepSpeed's configuration, derived from ours."""

from typing import Any

import torch

from orchestrator.config.training import OffloadConfig, TrainingConfig

_BUCKET = 8_000_000  # parameters; docs/decisions/0007-small-buckets.md


def deepspeed_config(config: TrainingConfig, world_size: int) -> dict[str, Any]:
    """What DeepSpeed is told. The learning rate is set anew before every update, so the one given here is never used.

    Args:
        config: the optimisation.
        world_size: ranks.
    """
    return {
        "train_batch_size": config.sequences_per_step,
        "train_micro_batch_size_per_gpu": config.micro_batch,
        "gradient_accumulation_steps": config.sequences_per_step // (config.micro_batch * world_size),
        "gradient_clipping": config.gradient_clip,
        "bf16": {"enabled": config.precision == "bf16"},
        "zero_optimization": {
            "stage": config.zero_stage,
            "reduce_bucket_size": _BUCKET,
            "allgather_bucket_size": _BUCKET,
            **_offloading(config.offload),
        },
        "optimizer": {
            "type": "AdamW",
            "params": {
                "lr": config.learning_rate,
                "betas": [config.adam_beta1, config.adam_beta2],
                "weight_decay": config.weight_decay,
                "torch_adam": True,  # no C++ or CUDA build at start
                "fused": True,
            },
        },
        "steps_per_print": 1 << 60,
    }


def _offloading(offload: OffloadConfig) -> dict[str, Any]:
    places = {"offload_optimizer": offload.optimizer, "offload_param": offload.parameters}
    pinned = torch.cuda.is_available()  # memory that a GPU reads by itself
    return {
        key: {"device": place, "pin_memory": pinned} | ({"nvme_path": offload.nvme_path} if place == "nvme" else {})
        for key, place in places.items()
        if place != "none"
    }
