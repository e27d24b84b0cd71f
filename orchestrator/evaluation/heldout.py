"""Held-out loss by source, sequence by sequence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from orchestrator.shards.reader import ShardReader


class Model(Protocol):
    """What can tell the loss of sequences."""

    device: torch.device

    def heldout_losses(self, sequences: torch.Tensor) -> torch.Tensor: ...


@dataclass(frozen=True, slots=True)
class Heldout:
    """The held-out sequences of a source: (n, sequence_length + 1) token ids, int64."""

    source: str
    sequences: NDArray[np.int64]


def choose_heldout(source: str, reader: ShardReader, *, unique_sequences: int, max_sequences: int, sequence_length: int) -> Heldout:
    """Pick held-out sequences, evenly spread over the split: always the same ones.

    Args:
        source: its name.
        reader: of its held-out split.
        unique_sequences: how many there are.
        max_sequences: the most to pick.
        sequence_length: tokens a sequence.
    """
    num = min(unique_sequences, max_sequences)
    positions = np.arange(num, dtype=np.int64) * unique_sequences // max(1, num)
    return Heldout(source, reader.gather(positions, sequence_length).astype(np.int64))


def measure(model: Model, heldout: Sequence[Heldout], *, micro_batch: int, rank: int, world_size: int) -> dict[str, list[float]]:
    """Measure the held-out loss. A collective; the ranks share the sequences.

    Every rank makes the same number of forward passes, as ZeRO-3 needs: the sequences are repeated to fill the last ones, and what the
    repeats give is thrown away.

    Args:
        model: collective, too.
        heldout: of each source.
        micro_batch: sequences of one forward pass.
        rank: of this process.
        world_size: ranks.

    Returns:
        The mean loss in nats a token of each sequence, by source, on every rank.
    """
    num = sum(len(part.sequences) for part in heldout)
    if num == 0:
        return {}
    everything = np.concatenate([part.sequences for part in heldout])
    padded = -(-num // (micro_batch * world_size)) * micro_batch * world_size
    mine = np.arange(rank, padded, world_size)
    losses = model.heldout_losses(torch.from_numpy(everything[mine % num]).to(model.device))
    table = torch.zeros(padded, dtype=torch.float64, device=model.device)
    table[torch.from_numpy(mine).to(model.device)] = losses
    if torch.distributed.is_initialized():
        torch.distributed.all_reduce(table)
    ends = np.cumsum([len(part.sequences) for part in heldout])
    return {part.source: table[end - len(part.sequences) : end].tolist() for part, end in zip(heldout, ends, strict=True)}
