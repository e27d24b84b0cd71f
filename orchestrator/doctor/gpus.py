"""The GPUs of nodes: as many as there are ranks, of one kind, and free."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.doctor.findings import Finding, at_least, finding

_ENOUGH_FREE = 0.9  # of its memory: what a context of our own takes is less than a tenth

_DEVICE = re.compile(r"nvidia\d+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Gpu:
    """A GPU, as a rank sees it."""

    name: str
    memory_bytes: int
    free_bytes: int


def gpus_seen() -> list[Gpu]:
    """Those that this process may use."""
    import torch

    found = []
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        found.append(Gpu(name=torch.cuda.get_device_name(index), memory_bytes=total, free_bytes=free))
    return found


def count_devices(devices: Path = Path("/dev"), visible: str | None = None) -> int:
    """How many GPUs a process started here could use, without asking CUDA.

    Args:
        devices: where they are files.
        visible: what CUDA_VISIBLE_DEVICES says; none: what this process has of it.
    """
    there = sum(1 for path in devices.iterdir() if _DEVICE.fullmatch(path.name))
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES") if visible is None else visible
    return there if chosen is None else min(there, len([word for word in chosen.split(",") if word.strip()]))


def judge_gpus(nodes: Mapping[str, Sequence[Gpu]], ranks: Mapping[str, int]) -> Iterator[Finding]:
    """Whether every rank has one, free and like the others.

    Args:
        nodes: the GPUs that the ranks of each node see.
        ranks: how many there are on each.
    """
    for where, gpus in nodes.items():
        least = min((gpu.free_bytes / gpu.memory_bytes for gpu in gpus), default=0.0)
        names = ", ".join(sorted({gpu.name for gpu in gpus})) or "none"
        yield finding(
            "GPUs",
            where,
            "bad" if len(gpus) < ranks[where] else at_least(least, enough=_ENOUGH_FREE),
            f"{len(gpus)} seen ({names}), at the least {least:.0%} of their memory free",
            limit=f"{ranks[where]} seen, {_ENOUGH_FREE:.0%} free",
            remedy="See nvidia-smi there: a driver that has lost one, or a process of someone else on it. Leave the node out until then.",
        )
    kinds = sorted({f"{gpu.name}, {gpu.memory_bytes / 2**30:.0f} GiB" for gpus in nodes.values() for gpu in gpus})
    if len(kinds) > 1:
        remedy = "The slowest holds up all, and the smallest memory limits all: ask for one kind (constraint, node selector)."
        yield finding("kinds of GPU", "all", "warning", "; ".join(kinds), limit="1", remedy=remedy)
