"""Loss by token, and its sums by source: exact, from the loss that is computed anyway."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from orchestrator.training.data_checksum import BITS


def token_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of every token.

    Args:
        logits: (sequences, length, vocabulary), any float type.
        labels: (sequences, length) token ids, int64.

    Returns:
        (sequences, length) losses in nats, float32.
    """
    flat = functional.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), reduction="none")
    return flat.view_as(labels)


def sequence_means(losses: Tensor, trained: Tensor | None) -> Tensor:
    """The mean loss of each sequence.

    Args:
        losses: (sequences, length) of each token.
        trained: (sequences, length) which of them count, at least one of each sequence; none: all.

    Returns:
        (sequences,) in nats, float64.
    """
    if trained is None:
        return losses.mean(dim=1, dtype=torch.float64)
    return (losses * trained).sum(dim=1, dtype=torch.float64) / trained.sum(dim=1)


@dataclass(frozen=True, slots=True)
class Interval:
    """What was trained since the last collection, over all ranks.

    Attributes:
        losses: sum of token losses of each source, in nats.
        tokens: trained tokens of each source.
        wait_seconds: how long a rank waited for data, the mean over ranks.
        data_checksum: of the sequences.
        memory_bytes: the most that a rank has needed.
    """

    losses: list[float]
    tokens: list[int]
    wait_seconds: float
    data_checksum: int
    memory_bytes: int


class IntervalSums:
    """Sums by source, kept on the device so that no step waits for them; one all-reduce a log interval."""

    def __init__(self, num_sources: int, device: torch.device) -> None:
        self._sums = torch.zeros(2, num_sources + 2, dtype=torch.float64, device=device)  # the last columns: checksum; wait, ranks
        self._step = torch.zeros_like(self._sums)  # what counts only when the update is made

    def add(self, losses: Tensor, sources: Tensor, trained: Tensor | None = None) -> None:
        """Count a micro batch, once its step ends.

        Args:
            losses: (sequences, length) of each token.
            sources: (sequences,) source indices.
            trained: (sequences, length) which of them count; none: all.
        """
        counted = losses.detach() if trained is None else losses.detach() * trained
        by_sequence = counted.sum(dim=1, dtype=torch.float64)
        tokens = torch.full_like(by_sequence, losses.shape[1]) if trained is None else trained.sum(dim=1, dtype=torch.float64)
        self._step.index_add_(1, sources, torch.stack([by_sequence, tokens]))

    def end_step(self, *, was_made: bool) -> None:
        """Count the micro batches since the last call, or forget them: an update that was not made has trained nothing."""
        if was_made:
            self._sums += self._step
            self._sums[0, -2] %= 1 << BITS
        self._step.zero_()

    def add_data(self, checksum: int) -> None:
        """Count the sequences of a step, once it ends."""
        self._step[0, -2] += checksum

    def add_wait(self, seconds: float) -> None:
        """Count a wait for data."""
        self._sums[0, -1] += seconds

    def collect(self, memory_bytes: int = 0) -> Interval:
        """Sum over all ranks, and begin anew. A collective: every rank calls it.

        Args:
            memory_bytes: that this rank has needed.
        """
        self._sums[1, -1] = 1
        rank, world_size = (
            (torch.distributed.get_rank(), torch.distributed.get_world_size()) if torch.distributed.is_initialized() else (0, 1)
        )
        memory = self._sums.new_zeros(world_size)  # a place for each rank: so the sum that is made anyway tells the most
        memory[rank] = memory_bytes
        table = torch.cat([self._sums.flatten(), memory])
        if world_size > 1:
            torch.distributed.all_reduce(table)
        (*losses, checksum, wait), (*tokens, _, ranks) = table[:-world_size].view_as(self._sums).tolist()
        self._sums.zero_()
        most = int(table[-world_size:].max())
        return Interval(losses, [int(count) for count in tokens], wait / ranks, int(checksum) % (1 << BITS), most)
