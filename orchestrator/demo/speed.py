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
_REACHED_SHARE = 0.5  # of the rate of bare layers and losses, by the training steps of two ranks (docs/demo.md)


@dataclass(frozen=True, slots=True)
class Speed:
    """The faster precision, and the tokens a second that two ranks train with it, about."""

    precision: Literal["fp32", "bf16"]
    tokens_per_second: float


def measure_speed() -> Speed:
    """Run a layer forward and backward in float32 and bfloat16, take the faster, and run the loss in it too: bfloat16 is slow on a CPU
    that has no instructions for it. Weights are frozen, as they are below adapters."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as a rank has
    try:
        seconds = {dtype: _layer_seconds(dtype) for dtype in (torch.float32, torch.bfloat16)}
        dtype = min(seconds, key=lambda each: seconds[each])
        of_step = _LAYERS * seconds[dtype] + _loss_seconds(dtype)
    finally:
        torch.set_num_threads(threads)
    tokens_per_second = 2 * _SEQUENCES * _SEQUENCE_LENGTH / of_step
    return Speed("bf16" if dtype is torch.bfloat16 else "fp32", tokens_per_second * _REACHED_SHARE)


def _layer_seconds(dtype: torch.dtype) -> float:
    layer = nn.TransformerEncoderLayer(_WIDTH, _HEADS, _INNER, dropout=0.0, norm_first=True, dtype=dtype).requires_grad_(False)
    hidden = _hidden(dtype)
    return _seconds(lambda: torch.autograd.grad(layer(hidden), hidden, hidden.detach()))


def _loss_seconds(dtype: torch.dtype) -> float:
    head = nn.Linear(_WIDTH, _VOCABULARY, bias=False, dtype=dtype).requires_grad_(False)
    hidden, labels = _hidden(dtype), torch.randint(_VOCABULARY, (_SEQUENCES * _SEQUENCE_LENGTH,))
    return _seconds(lambda: torch.autograd.grad(nn.functional.cross_entropy(head(hidden).flatten(0, 1).float(), labels), hidden))


def _hidden(dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(_SEQUENCE_LENGTH, _SEQUENCES, _WIDTH, dtype=dtype, requires_grad=True)


def _seconds(step: Callable[[], object]) -> float:
    """A step's mean, the first one left out unless it is long."""
    began = time.perf_counter()
    step()
    if (first := time.perf_counter() - began) > _SECONDS_EACH:
        return first
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < _SECONDS_EACH:
        step()
        count += 1
    return (time.perf_counter() - began) / count
