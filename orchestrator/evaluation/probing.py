"""Probes put to a model, by all ranks together."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from orchestrator.evaluation.answers import Answers, judge_answers
from orchestrator.evaluation.dealing import measure_dealt
from orchestrator.evaluation.heldout import Model
from orchestrator.evaluation.probe_sequences import Probe

_PADDING = 0  # any token that every model has: a causal model sees nothing of what comes after


def measure_probes(model: Model, probes: Sequence[Probe], *, micro_batch: int, rank: int, world_size: int) -> dict[str, Answers]:
    """Put probes to a model. A collective; the ranks share the choices.

    All sequences are padded on the right to the length of the longest one, so that a model that is compiled meets one shape more.

    Args:
        model: collective, too.
        probes: the same on every rank.
        micro_batch: sequences of one forward pass.
        rank: of this process.
        world_size: ranks.

    Returns:
        The answers, by probe, on every rank.
    """
    if not probes:
        return {}
    sequences = [sequence for probe in probes for sequence in probe.sequences]
    num_scored = np.concatenate([probe.num_scored for probe in probes])
    longest = max(probe.longest for probe in probes)

    def losses_of(chosen: NDArray[np.int64]) -> torch.Tensor:
        parts = np.split(chosen, np.arange(micro_batch, len(chosen), micro_batch))
        return torch.cat([_losses(model, [sequences[index] for index in part], num_scored[part], longest) for part in parts])

    losses = measure_dealt(len(sequences), losses_of, micro_batch=micro_batch, rank=rank, world_size=world_size, device=model.device)
    ends = np.cumsum([len(probe.sequences) for probe in probes])
    return {probe.name: judge_answers(probe, -part) for probe, part in zip(probes, np.split(losses, ends[:-1]), strict=True)}


def _losses(model: Model, sequences: Sequence[NDArray[np.uint32]], num_scored: NDArray[np.int64], longest: int) -> torch.Tensor:
    """(n,) the mean loss of each choice's tokens."""
    tokens = np.full((len(sequences), longest), _PADDING, dtype=np.int64)
    scored = np.zeros((len(sequences), longest - 1), dtype=np.bool_)
    for row, (sequence, num) in enumerate(zip(sequences, num_scored.tolist(), strict=True)):
        tokens[row, : len(sequence)] = sequence
        scored[row, len(sequence) - 1 - num : len(sequence) - 1] = True
    placed = (torch.from_numpy(each).to(model.device) for each in (tokens, scored))
    return model.heldout_losses(next(placed), positions=None, trained=next(placed))
