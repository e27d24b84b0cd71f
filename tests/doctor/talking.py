"""Ranks with clocks that are wrong, and ranks that reduce, for tests: importable by the processes that are the ranks."""

import time
from typing import Any

import torch
from torch import distributed

from orchestrator.doctor.bandwidth import measure
from orchestrator.doctor.exchanging import clock_offsets


def offsets_with_clocks_ahead(seconds: list[float]) -> dict[str, float]:
    """What each rank learns when the clock of rank k is ahead by the k-th of these."""
    distributed.init_process_group("gloo")
    ahead = seconds[distributed.get_rank()]
    offsets = clock_offsets(None, range(len(seconds)), lambda: time.time() + ahead)
    distributed.barrier()
    distributed.destroy_process_group()
    return {str(rank): offset.seconds for rank, offset in offsets.items()}


def reductions(argument: dict[str, Any]) -> list[list[Any]]:
    """All-reduces of sizes; what rank `liar`, if there is one, gives of a sum has a bit flipped."""
    distributed.init_process_group("gloo")
    if distributed.get_rank() == argument["liar"]:
        _flip_a_bit_of_what_is_given()
    found = [measure(size, torch.device("cpu")) for size in argument["sizes"]]
    distributed.barrier()
    distributed.destroy_process_group()
    return [[reduction.size_bytes, reduction.seconds, reduction.is_right] for reduction in found]


def _flip_a_bit_of_what_is_given() -> None:
    reduce = distributed.all_reduce

    def corrupting(values: torch.Tensor, *others: Any) -> Any:
        if values.is_floating_point():
            values.view(torch.int32)[-1] ^= 1 << 20
        return reduce(values, *others)

    distributed.all_reduce = corrupting  # type: ignore[assignment]
