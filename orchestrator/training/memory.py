"""How much memory a rank has needed."""

import re
from pathlib import Path

import torch


def peak_memory_bytes(device: torch.device) -> int:
    """The most that this process has held at once since it began: what torch has allocated on its GPU, or all of it on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    assert found, "Linux tells the peak of a process in its status"
    return 1024 * int(found[1])
