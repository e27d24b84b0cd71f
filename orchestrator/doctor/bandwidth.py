"""All-reduces over the ranks' own process group: how fast they are, and whether what they give is right."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.doctor.findings import Finding, at_least, finding, nodes_said

if TYPE_CHECKING:
    import torch

SIZES_BYTES = (1 << 20, 16 << 20, 64 << 20)

_WARM_UP_ROUNDS, _ROUNDS = 2, 5
# Bus bandwidth in GB/s below which something is amiss: between nodes, NCCL over one 100 Gb/s port gives about 11, and a few at most when it
# has fallen back to sockets; within a node, PCIe 4 gives about 20 and NVLink hundreds; gloo on CPUs is held to a network of 1 Gb/s.
_ENOUGH_GPU_NODES, _ENOUGH_GPU_NODE, _ENOUGH_CPU = 8.0, 10.0, 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Reduction:
    """All-reduces of one size.

    Attributes:
        size_bytes: of what each rank gives.
        seconds: for one, on average.
        is_right: whether the sum was, on every rank.
    """

    size_bytes: int
    seconds: float
    is_right: bool


def measure(size_bytes: int, device: "torch.device") -> Reduction:
    """Sum float32 of every rank. A collective.

    Args:
        size_bytes: that each rank gives.
        device: where the process group reduces.
    """
    import torch
    from torch import distributed

    world_size = distributed.get_world_size()
    values = torch.empty(size_bytes // 4, dtype=torch.float32, device=device)
    for _ in range(_WARM_UP_ROUNDS):
        distributed.all_reduce(values.fill_(0.0))
    values.fill_(float(distributed.get_rank() + 1))
    distributed.all_reduce(values)
    is_wrong = (values != float(world_size * (world_size + 1) // 2)).any().to(torch.int32)
    distributed.all_reduce(is_wrong, distributed.ReduceOp.MAX)
    values.fill_(0.0)
    wrong = bool(is_wrong.item())  # waits for all that was asked of the device
    began = time.perf_counter()
    for _ in range(_ROUNDS):
        distributed.all_reduce(values)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return Reduction(size_bytes=size_bytes, seconds=(time.perf_counter() - began) / _ROUNDS, is_right=not wrong)


def bus_bandwidth(reduction: Reduction, world_size: int) -> float:
    """What every rank sends and receives in GB/s, to be held against that of the hardware: size / time x 2 (n - 1) / n (NVIDIA, nccl-tests,
    doc/PERFORMANCE.md, "AllReduce").
    """
    return algorithm_bandwidth(reduction) * 2 * (world_size - 1) / world_size


def algorithm_bandwidth(reduction: Reduction) -> float:
    """Size / time, in GB/s (the same document)."""
    return reduction.size_bytes / reduction.seconds / 1e9


def judge_reductions(reductions: Sequence[Reduction], *, world_size: int, num_nodes: int, has_gpus: bool) -> Iterator[Finding]:
    """Whether the ranks' network is what it should be; the speed is judged by the largest size alone, as small ones measure latency."""
    enough = (_ENOUGH_GPU_NODES if num_nodes > 1 else _ENOUGH_GPU_NODE) if has_gpus else _ENOUGH_CPU
    library = "NCCL" if has_gpus else "gloo"
    hint = "see with NCCL_DEBUG=INFO which network NCCL has chosen (NCCL_SOCKET_IFNAME, NCCL_IB_HCA)" if has_gpus else "see ethtool, iperf3"
    largest = max(reductions, key=lambda reduction: reduction.size_bytes)
    for reduction in reductions:
        bus = bus_bandwidth(reduction, world_size)
        is_slow = reduction is largest and at_least(bus, enough=enough) != "good"
        value = (
            f"{bus:.3g} GB/s on the bus, {algorithm_bandwidth(reduction):.3g} GB/s by size, {reduction.seconds * 1000:.3g} ms, "
            f"{world_size} ranks on {nodes_said(num_nodes)}, {library}"
        )
        yield finding(
            f"all-reduce of {reduction.size_bytes >> 20} MiB",
            "all",
            "warning" if is_slow else "good",
            value,
            limit=f"{enough:g} GB/s on the bus" if reduction is largest else "",
            remedy=f"Steps will wait for gradients: {hint}, and whether others use the network.",
        )
    wrong = [reduction for reduction in reductions if not reduction.is_right]
    yield finding(
        "all-reduce sums",
        "all",
        "bad" if wrong else "good",
        f"wrong for {', '.join(f'{reduction.size_bytes >> 20} MiB' for reduction in wrong)}" if wrong else "right on every rank",
        limit="right",
        remedy=f"A device, link or library corrupts data: leave nodes out until it is gone; see dmesg there. It was {library}.",
    )
