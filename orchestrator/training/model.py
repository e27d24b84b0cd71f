"""The base model out of a Hugging Face directory or hub name."""

from collections.abc import Sequence
from importlib.util import find_spec
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
        ConfigError: there is no such model, it has no weights, or it cannot have the attention, kernels or adapters that were asked for.
    """
    import torch._dynamo  # before zero.Init, which otherwise trips over its late import
    from transformers.integrations import HfDeepSpeedConfig

    alive = HfDeepSpeedConfig(zero3) if zero3 else None
    torch.manual_seed(training.seed)
    built = _load(model, training)
    del alive
    if training.liger:
        _use_liger(built)
    if training.activation_checkpointing:
        built.gradient_checkpointing_enable(  # type: ignore[operator]
            gradient_checkpointing_kwargs={"use_reentrant": False}
        )
    return with_adapters(built, training.lora) if training.lora else built


def _load(model: ModelConfig, training: TrainingConfig) -> torch.nn.Module:
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(model.path, use_cache=False)
        chosen = {
            "dtype": torch.bfloat16 if training.precision == "bf16" else torch.float32,
            "attn_implementation": _attention(training, AutoModelForCausalLM._model_mapping.get(type(config), None)),
        }
        loaded: torch.nn.Module = (
            AutoModelForCausalLM.from_pretrained(model.path, config=config, **chosen)
            if model.initialise == "pretrained"
            else AutoModelForCausalLM.from_config(config, **chosen)
        )
    except OSError as error:
        raise ConfigError(
            f"model.path={model.path} cannot be loaded: {str(error).splitlines()[0]} Give a model that this node can read."
        ) from None
    except (ImportError, ValueError) as error:
        if training.attention == "auto" or not _is_about_attention(error):
            raise
        raise ConfigError(
            f"training.attention={training.attention} cannot be had for model.path={model.path} here: {str(error).splitlines()[0]} "
            f"Set it to auto."
        ) from None
    return loaded


def _attention(training: TrainingConfig, architecture: type | None) -> str | None:
    """What transformers is asked for; none: sdpa, or eager where the architecture has nothing else."""
    from transformers.utils import is_flash_attn_2_available

    if training.attention != "auto":
        return training.attention
    has_flash = training.precision == "bf16" and getattr(architecture, "_supports_flash_attn", False) and is_flash_attn_2_available()
    return "flash_attention_2" if has_flash else None


def _is_about_attention(error: Exception) -> bool:
    """transformers raises no class of its own when an attention cannot be had, but names it."""
    said = str(error).lower()
    return any(word in said for word in ("attention", "attn"))


def _use_liger(model: torch.nn.Module) -> None:
    """Give a model Liger's kernels for norms, rotary positions and gated MLPs (Hsu et al., "Liger Kernel", 2024); the loss stays ours."""
    if not torch.cuda.is_available() or find_spec("liger_kernel") is None:
        raise ConfigError(
            "training.liger=true needs a GPU and the package liger-kernel on every node, and this one lacks one of them. Install "
            "midtrain[liger], or set it to false."
        )
    from liger_kernel.transformers.monkey_patch import MODEL_TYPE_TO_APPLY_LIGER_FN, _apply_liger_kernel_to_instance

    model_type = model.config.model_type  # type: ignore[union-attr]
    if model_type not in MODEL_TYPE_TO_APPLY_LIGER_FN:  # Liger itself would only log it
        raise ConfigError(f"training.liger=true: Liger has no kernels for the architecture {model_type}. Set it to false.")
    _apply_liger_kernel_to_instance(model=model, cross_entropy=False, fused_linear_cross_entropy=False)


def with_adapters(base: torch.nn.Module, lora: LoraConfig) -> torch.nn.Module:
    """The base model, frozen, with adapters on the linear layers that were asked for: every one but the output's."""
    import peft

    config = peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=_checked_targets(base, lora.targets) or "all-linear",
        task_type="CAUSAL_LM",
    )
    adapted: torch.nn.Module = peft.get_peft_model(base, config, autocast_adapter_dtype=False)
    return adapted


def _checked_targets(base: torch.nn.Module, targets: Sequence[str]) -> list[str]:
    """The endings that were asked for, each of which some linear layer has; peft itself would be content with one that has."""
    from transformers.pytorch_utils import Conv1D

    names = [name for name, module in base.named_modules() if isinstance(module, (torch.nn.Linear, Conv1D))]
    for target in targets:
        if not any(f".{name}".endswith(f".{target}") for name in names):
            endings = sorted({name.rpartition(".")[2] for name in names})
            raise ConfigError(
                f"training.lora.targets names {target!r}, and no linear layer of the base model ends so. "
                f"What they end in: {', '.join(endings)}."
            )
    if not targets and any(".experts." in name and len(shape_of(each)) > 2 for name, each in base.named_parameters()):
        raise ConfigError(
            "training.lora without targets means all attention and MLP projections, and this base model keeps its experts in one tensor, "
            "which adapters do not reach. Name the layers that shall have some in training.lora.targets."
        )
    return list(targets)


def shape_of(parameter: torch.Tensor) -> torch.Size:
    """Of the whole parameter; DeepSpeed knows it where it has partitioned it."""
    shape: torch.Size = getattr(parameter, "ds_shape", parameter.shape)
    return shape
