"""What every peer builds in the same way: model, DeepSpeed's configuration, tokens."""

import os
from collections.abc import Iterator
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from benchmarks.training.sizes import LENGTH, SEED
from orchestrator.config.load import load_config
from orchestrator.config.schema import Config
from orchestrator.training.deepspeed_config import deepspeed_config


def build_model(request: dict[str, Any]) -> torch.nn.Module:
    """From scratch, in its precision, with as many threads as the process was told."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.manual_seed(SEED)
    dtype = torch.bfloat16 if request["precision"] == "bf16" else torch.float32
    config = AutoConfig.from_pretrained(request["model"], use_cache=False)
    return AutoModelForCausalLM.from_config(config, dtype=dtype)


def settings(request: dict[str, Any]) -> dict[str, Any]:
    """DeepSpeed's configuration, the one that midtrain derives: every peer gets the same."""
    return deepspeed_config(configuration(request).training, int(os.environ["WORLD_SIZE"]))


def configuration(request: dict[str, Any]) -> Config:
    """midtrain's own."""
    rest = (
        "run.name=bench",
        f"scheduling.world_size={os.environ['WORLD_SIZE']}",
        f"scheduling.threads_per_rank={os.environ['OMP_NUM_THREADS']}",
        "sources.some={role:spec,paths:[nowhere]}",
        "mixture.total_tokens=1000000",
    )
    overrides = [*rest, *(f"{key}={value}" for key, value in request["overrides"].items())]
    return load_config(overrides)


def batches(request: dict[str, Any]) -> Iterator[torch.Tensor]:
    """Of this rank: (micro batch, LENGTH + 1) random token ids, without end."""
    generator = torch.Generator().manual_seed(int(os.environ["RANK"]))
    while True:
        yield torch.randint(0, request["vocabulary"], (request["micro_batch"], LENGTH + 1), generator=generator)
