"""A model without weights: its names and shapes, for what works on weights without training them."""

import torch

from orchestrator.config.training import LoraConfig, ModelConfig
from orchestrator.training.model import with_adapters


def skeleton(model: ModelConfig, lora: LoraConfig | None) -> torch.nn.Module:
    """The model that a run trains, on torch's meta device.

    Args:
        model: the base model, of which only the configuration is read.
        lora: its adapters, if it has them.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        built: torch.nn.Module = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model.path))
        return with_adapters(built, lora) if lora else built
