"""Held-out loss by source, sequence by sequence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from orchestrator.errors import DataError
from orchestrator.evaluation.dealing import measure_dealt
from orchestrator.shards.gathering import gather
from orchestrator.shards.reader import ShardReader
from orchestrator.training.documents import position_ids


class Model(Protocol):
    """What can tell the loss of sequences."""

    device: torch.device

    def heldout_losses(self, sequences: torch.Tensor, *, positions: torch.Tensor | None, trained: torch.Tensor | None) -> torch.Tensor: ...


@dataclass(frozen=True, slots=True)
class Heldout:
    """The held-out sequences of a source.

    Attributes:
        source: its name.
        sequences: (n, sequence_length + 1) token ids, int64.
        main_documents: (n,) the number of the document that holds most of each sequence, within the held-out split.
        documents: (n, sequence_length + 1) which document of its sequence each token belongs to; none: attention runs over the whole one.
        trained: (n, sequence_length) which labels carry loss, at least one of each sequence; none: all.
    """

    source: str
    sequences: NDArray[np.int64]
    main_documents: NDArray[np.int64]
    documents: NDArray[np.int32] | None = None
    trained: NDArray[np.bool_] | None = None


def choose_heldout(
    source: str,
    reader: ShardReader,
    *,
    unique_sequences: int,
    max_sequences: int,
    sequence_length: int,
    document_attention: bool = False,
) -> Heldout:
    """Pick held-out sequences, evenly spread over the split: always the same ones. One without a label that carries loss is left out.

    Args:
        source: its name.
        reader: of its held-out split.
        unique_sequences: how many there are.
        max_sequences: the most to pick.
        sequence_length: tokens a sequence.
        document_attention: whether each document sees itself alone.

    Raises:
        ShardError: a shard is missing or damaged.
        DataError: all of them are left out.
    """
    num = min(unique_sequences, max_sequences)
    positions = np.arange(num, dtype=np.int64) * unique_sequences // max(1, num)
    main_documents = reader.main_documents(positions, sequence_length)
    if not document_attention and not reader.has_untrained:
        return Heldout(source, gather(reader, positions, sequence_length).astype(np.int64), main_documents)
    documents, trained = reader.marks(positions, sequence_length, document_attention=document_attention)
    kept = trained.any(axis=1)
    if num and not kept.any():
        raise DataError(
            f"source {source!r}: no label carries loss in any of the {num} held-out sequences that "
            f"evaluation.max_sequences={max_sequences} picks. Raise it, or hold out other documents."
        )
    sequences = gather(reader, positions[kept], sequence_length).astype(np.int64)
    return Heldout(source, sequences, main_documents[kept], None if documents is None else documents[kept], trained[kept])


def measure(model: Model, heldout: Sequence[Heldout], *, micro_batch: int, rank: int, world_size: int) -> dict[str, list[float]]:
    """Measure the held-out loss. A collective; the ranks share the sequences.

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

    def losses_of(chosen: NDArray[np.int64]) -> torch.Tensor:
        positions, trained = _marks(heldout, chosen, model.device)
        return model.heldout_losses(torch.from_numpy(everything[chosen]).to(model.device), positions=positions, trained=trained)

    losses = measure_dealt(num, losses_of, micro_batch=micro_batch, rank=rank, world_size=world_size, device=model.device)
    ends = np.cumsum([len(part.sequences) for part in heldout])
    return {part.source: found.tolist() for part, found in zip(heldout, np.split(losses, ends[:-1]), strict=True)}


def _marks(heldout: Sequence[Heldout], chosen: NDArray[np.int64], device: torch.device) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Positions and trained labels of some of all sequences, where any source has them."""
    positions = trained = None
    if documents := [part.documents for part in heldout if part.documents is not None]:
        positions = position_ids(torch.from_numpy(np.concatenate(documents)[chosen]).to(device))
    if any(part.trained is not None for part in heldout):
        masks = [np.ones_like(part.sequences[:, 1:], dtype=np.bool_) if part.trained is None else part.trained for part in heldout]
        trained = torch.from_numpy(np.concatenate(masks)[chosen]).to(device)
    return positions, trained
