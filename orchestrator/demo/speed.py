"""How fast this machine trains, measured in seconds, so that the demo fits into minutes anywhere."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

_SECONDS_EACH = 0.4
_WIDTH, _HEADS, _INNER, _LAYERS, _VOCABULARY = 576, 9, 2048, 30, 49_152  # as much work as a layer of the demo's model, whose MLP is gated
_SEQUENCES, _SEQUENCE_LENGTH = 2, 128
_REACHED_SHARE = 0.7  # of a bare layer's rate, by the training step of two ranks (docs/demo.md)


@dataclass(frozen=True, slots=True)
class Speed:
    """The faster precision, and the tokens a second that two ranks train with it, about."""

    precision: Literal["fp32", "bf16"]
    tokens_per_second: float


def measure_speed() -> Speed:
    """Run a layer and the loss forward and backward in float32 and bfloat16, and take the faster: bfloat16 is slow on a CPU that has no
    instructions for it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as a rank has
    try:
        rates = {"fp32": 2 * _tokens_per_second(torch.float32), "bf16": 2 * _tokens_per_second(torch.bfloat16)}
    finally:
        torch.set_num_threads(threads)
    precision: Literal["fp32", "bf16"] = "bf16" if rates["bf16"] > rates["fp32"] else "fp32"
    return Speed(precision, rates[precision] * _REACHED_SHARE)


def _tokens_per_second(dtype: torch.dtype) -> float:
    """Of one thread, weights frozen, as they are below adapters."""
    layer = nn.TransformerEncoderLayer(_WIDTH, _HEADS, _INNER, dropout=0.0, norm_first=True, dtype=dtype).requires_grad_(False)
    head = nn.Linear(_WIDTH, _VOCABULARY, bias=False, dtype=dtype).requires_grad_(False)
    hidden = torch.randn(_SEQUENCE_LENGTH, _SEQUENCES, _WIDTH, dtype=dtype, requires_grad=True)
    labels = torch.randint(_VOCABULARY, (_SEQUENCES * _SEQUENCE_LENGTH,))
    of_layer = _seconds(lambda: torch.autograd.grad(layer(hidden), hidden, hidden.detach()))
    of_loss = _seconds(lambda: torch.autograd.grad(nn.functional.cross_entropy(head(hidden).flatten(0, 1).float(), labels), hidden))
    return _SEQUENCES * _SEQUENCE_LENGTH / (_LAYERS * of_layer + of_loss)


def _seconds(step: Callable[[], object]) -> float:
    step()
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < _SECONDS_EACH:
        step()
        count += 1
    return (time.perf_counter() - began) / count
