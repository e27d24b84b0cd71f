"""What an update costs in floating-point operations, and the rate at which a device could make them."""

import re
from dataclasses import dataclass

import torch

from orchestrator.config.training import TrainingConfig

# Dense bfloat16 TFLOP/s by NVIDIA's data sheets; the first whose words are all in the device's name.
_PEAKS = (
    ({"H200", "NVL"}, 835.0),
    ({"H200"}, 989.0),
    ({"H100", "NVL"}, 835.0),
    ({"H100", "PCIe"}, 756.0),
    ({"H100"}, 989.0),
    ({"A100"}, 312.0),
    ({"B200"}, 2250.0),
)


@dataclass(frozen=True, slots=True)
class Utilisation:
    """What a rank's device does for the model, and what it could do.

    Attributes:
        flops_per_token: that the model needs; none: not known.
        peak_tflops: of the device; none: not known.
    """

    flops_per_token: float | None
    peak_tflops: float | None

    def tflops(self, tokens: int, seconds: float) -> float | None:
        """The rate at which a rank that trains so many tokens in a time makes what the model needs for them."""
        return None if self.flops_per_token is None else self.flops_per_token * tokens / seconds / 1e12


def utilisation_of(model: torch.nn.Module, training: TrainingConfig, device: torch.device) -> Utilisation:
    """Of a model on a rank's device. The peaks that are known are those of bfloat16; any other must be given."""
    peak = training.peak_tflops_per_rank
    if peak is None and device.type == "cuda" and training.precision == "bf16":
        peak = peak_tflops(torch.cuda.get_device_name(device))
    return Utilisation(flops_per_token(model, training.sequence_length), peak)


def peak_tflops(device_name: str) -> float | None:
    """The dense bfloat16 rate of a known GPU, in TFLOP/s; none for any other."""
    words = set(re.split(r"[\s-]+", device_name))
    return next((peak for needed, peak in _PEAKS if needed <= words), None)


def flops_per_token(model: torch.nn.Module, sequence_length: int) -> float | None:
    """The floating-point operations that a token of training needs (Chowdhery et al., "PaLM", 2022, appendix B).

    A weight that a token is multiplied with takes 2 in the forward pass, 2 for the gradient of what came into it, and 2 for its own, which
    frozen weights, those under adapters, do without. Attention takes 12 x layers x heads x head size x length, as if every token saw the
    whole sequence. What activation checkpointing computes again is not counted: the model does not need it.

    Args:
        model: a Hugging Face causal language model, with or without adapters.
        sequence_length: tokens.

    Returns:
        The operations; none for a mixture of experts, whose tokens meet a part of the weights, and for what has no attention heads.
    """
    config = model.config.get_text_config()  # type: ignore[operator, union-attr]
    heads = getattr(config, "num_attention_heads", None)
    if heads is None or getattr(config, "num_experts_per_tok", None):
        return None
    looked_up = model.get_input_embeddings().weight  # type: ignore[operator]
    is_tied = looked_up is model.get_output_embeddings().weight  # type: ignore[operator]
    weights = [each for each in model.parameters() if is_tied or each is not looked_up]
    head_size = getattr(config, "head_dim", None) or config.hidden_size // heads
    attention = 12 * config.num_hidden_layers * heads * head_size * sequence_length
    return float(sum((6 if each.requires_grad else 4) * _size(each) for each in weights) + attention)


def _size(parameter: torch.Tensor) -> int:
    """Elements of the whole parameter; DeepSpeed knows them where it has partitioned it."""
    size: int = getattr(parameter, "ds_numel", parameter.numel())
    return size
