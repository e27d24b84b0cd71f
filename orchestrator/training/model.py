"""The base model out of a Hugging Face directory or hub name."""

from typing import Any

import torch

from orchestrator.config.training import LoraConfig, ModelConfig, TrainingConfig
from orchestrator.errors import ConfigError


def build_model(model: ModelConfig, training: TrainingConfig, zero3: dict[str, Any] | None) -> torch.nn.Module:
    """Load the weights, or initialise them as the architecture prescribes.

    Args:
        model: which, and how it starts.
        training: precision, seed, activation checkpointing and adapters.
        zero3: DeepSpeed's configuration when the parameters are to be partitioned as they are made, else none. transformers does that
            by itself while this configuration is alive; DeepSpeed's own `zero.Init` around a model loses its initialisation.

    Returns:
        The model, float32 or bfloat16.

    Raises:
        ConfigError: there is no such model, or it has no weights.
    """
    import torch._dynamo  # before zero.Init, which otherwise trips over its late import
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.integrations import HfDeepSpeedConfig

    alive = HfDeepSpeedConfig(zero3) if zero3 else None
    torch.manual_seed(training.seed)
    dtype = torch.bfloat16 if training.precision == "bf16" else torch.float32
    built: torch.nn.Module
    try:
        if model.initialise == "pretrained":
            built = AutoModelForCausalLM.from_pretrained(model.path, dtype=dtype, use_cache=False)
        else:
            built = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model.path, use_cache=False), dtype=dtype)
    except OSError as error:
        raise ConfigError(
            f"model.path={model.path} cannot be loaded: {str(error).splitlines()[0]} Give a model that this node can read."
        ) from None
    del alive
    if training.activation_checkpointing:
        built.gradient_checkpointing_enable(  # type: ignore[operator]
            gradient_checkpointing_kwargs={"use_reentrant": False}
        )
    return with_adapters(built, training.lora) if training.lora else built


def with_adapters(base: torch.nn.Module, lora: LoraConfig) -> torch.nn.Module:
    """The base model, frozen, with adapters on every linear layer but the output's."""
    import peft

    config = peft.LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted: torch.nn.Module = peft.get_peft_model(base, config, autocast_adapter_dtype=False)
    return adapted
