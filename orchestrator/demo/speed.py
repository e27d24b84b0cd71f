"""How fast this machine trains, measured in a second, so that the demo fits into minutes anywhere."""

import time
from dataclasses import dataclass
from typing import Literal

import torch

_SECONDS_EACH = 0.4
_ROWS, _INNER, _COLUMNS = 256, 576, 1536  # a projection of the demo's model, with the tokens of one step
_REACHED_SHARE = 0.5  # of the matmul rate, by the training step of two ranks (docs/demo.md)


@dataclass(frozen=True, slots=True)
class Speed:
    """The faster precision, and what two ranks reach in training with it, in floating-point operations a second."""

    precision: Literal["fp32", "bf16"]
    flops_per_second: float


def measure_speed() -> Speed:
    """Multiply matrices in float32 and bfloat16, and take the faster: bfloat16 is slow on a CPU that has no instructions for it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as a rank has
    try:
        rates = {"fp32": 2 * _matmul_rate(torch.float32), "bf16": 2 * _matmul_rate(torch.bfloat16)}
    finally:
        torch.set_num_threads(threads)
    precision: Literal["fp32", "bf16"] = "bf16" if rates["bf16"] > rates["fp32"] else "fp32"
    return Speed(precision, rates[precision] * _REACHED_SHARE)


def _matmul_rate(dtype: torch.dtype) -> float:
    left, right = torch.ones(_ROWS, _INNER, dtype=dtype), torch.ones(_INNER, _COLUMNS, dtype=dtype)
    torch.mm(left, right)
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < _SECONDS_EACH:
        torch.mm(left, right)
        count += 1
    return count * 2.0 * _ROWS * _INNER * _COLUMNS / (time.perf_counter() - began)
