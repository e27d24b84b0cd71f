"""Sequences dealt to ranks, and what each measured put together again."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray


def measure_dealt(
    num: int,
    losses_of: Callable[[NDArray[np.int64]], torch.Tensor],
    *,
    micro_batch: int,
    rank: int,
    world_size: int,
    device: torch.device,
) -> NDArray[np.float64]:
    """Measure sequences with all ranks. A collective.

    Every rank makes the same number of forward passes, as ZeRO-3 needs: the sequences are repeated to fill the last ones, and what the
    repeats give is thrown away.

    Args:
        num: how many sequences there are; at least one.
        losses_of: of the sequences with these numbers, a multiple of the micro batch; collective, too.
        micro_batch: sequences of one forward pass.
        rank: of this process.
        world_size: ranks.
        device: where the process group reduces.

    Returns:
        (num,) the loss of each sequence, on every rank.
    """
    padded = -(-num // (micro_batch * world_size)) * micro_batch * world_size
    mine = np.arange(rank, padded, world_size)
    table = torch.zeros(padded, dtype=torch.float64, device=device)
    table[torch.from_numpy(mine).to(device)] = losses_of(mine % num)
    if torch.distributed.is_initialized():
        torch.distributed.all_reduce(table)
    return table[:num].cpu().numpy()
