"""Documents put whole into sequences by best-fit decreasing, as a pure function of their lengths.

Documents are taken from the longest to the shortest, and each goes into the open sequence that it leaves the least room in (Johnson et al.,
"Worst-case performance bounds for simple one-dimensional packing algorithms", SIAM J. Comput. 3, 1974; for language models Ding et al.,
"Fewer Truncations Improve Language Modeling", ICML 2024). Open sequences are kept by their room, and which rooms there are is a set of
bits, so that a document costs a few operations on one integer.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

PackingMethod = Literal["concatenate", "best_fit"]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Packing:
    """Which pieces of a shard make up its sequences.

    Attributes:
        starts: (num_pieces,) the first token of each piece in the shard, sequence by sequence.
        lengths: (num_pieces,) in tokens.
        first_pieces: (num_sequences + 1,) where each sequence begins in the two others; last, where the last one ends.
        cut_documents: how many were longer than a sequence.
    """

    starts: Ints
    lengths: Ints
    first_pieces: Ints
    cut_documents: int

    @property
    def num_sequences(self) -> int:
        return len(self.first_pieces) - 1


def pack(document_lengths: Ints, capacity_tokens: int) -> Packing:
    """Pack documents that lie one after the other.

    A document with more than `capacity_tokens` is cut into full pieces, and what is left of it is packed like a document.

    Args:
        document_lengths: (num_documents,) tokens of each, at least 1.
        capacity_tokens: what a sequence holds, its last label included.

    Returns:
        Every token once; the same for the same lengths.
    """
    starts, lengths = _pieces(document_lengths, capacity_tokens)
    order = np.argsort(-lengths, kind="stable")
    sequences = _best_fit(lengths[order], capacity_tokens)
    by_sequence = np.argsort(sequences, kind="stable")
    num_sequences = int(sequences.max()) + 1 if len(sequences) else 0
    first_pieces = np.searchsorted(sequences[by_sequence], np.arange(num_sequences + 1))
    placed = order[by_sequence]
    return Packing(starts[placed], lengths[placed], first_pieces, int((document_lengths > capacity_tokens).sum()))


def _pieces(document_lengths: Ints, capacity: int) -> tuple[Ints, Ints]:
    """(num_pieces,) starts and lengths: of each document its full pieces and what is left, in order."""
    counts = -(-document_lengths // capacity)
    document = np.repeat(np.arange(len(document_lengths)), counts)
    offsets = (np.arange(len(document)) - (counts.cumsum() - counts)[document]) * capacity
    starts = (document_lengths.cumsum() - document_lengths)[document] + offsets
    return starts, np.minimum(capacity, document_lengths[document] - offsets)


def _best_fit(lengths: Ints, capacity: int) -> Ints:
    """(num_pieces,) the sequence of each piece; `lengths` do not rise."""
    num_full = int(np.searchsorted(-lengths, -capacity, side="right"))
    sequences = list(range(num_full))
    with_room: list[list[int]] = [[] for _ in range(capacity)]  # by room in tokens
    rooms = 0  # a bit for each room that some sequence has
    opened = num_full
    for length in lengths[num_full:].tolist():
        fitting = rooms >> length
        if fitting:
            room = (fitting & -fitting).bit_length() - 1 + length
            sequence = with_room[room].pop()
            if not with_room[room]:
                rooms ^= 1 << room
        else:
            room, sequence, opened = capacity, opened, opened + 1
        sequences.append(sequence)
        with_room[room - length].append(sequence)
        rooms |= 1 << (room - length)
    return np.array(sequences, dtype=np.int64)
