"""Ranks tell each other the time."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import distributed

from orchestrator.doctor.clocks import Exchange, Offset, offset_of

_ROUNDS = 10


def clock_offsets(group: Any, peers: Sequence[int], clock: Callable[[], float]) -> dict[int, Offset]:
    """How far the clocks of ranks are ahead of rank 0's. A collective.

    Args:
        group: of all ranks, gloo.
        peers: whose clocks are asked for, one after the other, so that none waits for another's answer.
        clock: this rank's, in seconds since 1970.

    Returns:
        An offset a peer, on rank 0; elsewhere none.
    """
    rank = distributed.get_rank(group)
    offsets = {}
    for peer in peers:
        if rank == 0 and peer != 0:
            offsets[peer] = offset_of([_ask(group, peer, clock) for _ in range(_ROUNDS)])
        elif rank == peer and peer != 0:
            for _ in range(_ROUNDS):
                _answer(group, clock)
    return offsets


def _ask(group: Any, peer: int, clock: Callable[[], float]) -> Exchange:
    question, answer = torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    asked = clock()
    distributed.send(question, peer, group=group)
    distributed.recv(answer, peer, group=group)
    return Exchange(asked, float(answer.item()), clock())


def _answer(group: Any, clock: Callable[[], float]) -> None:
    question = torch.zeros(1, dtype=torch.float64)
    distributed.recv(question, 0, group=group)
    distributed.send(torch.tensor([clock()], dtype=torch.float64), 0, group=group)
