"""Where the tokens of sequences lie: runs of tokens within shards, as flat arrays."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pieces:
    """Runs of tokens, each within one shard, and where they go: (num_pieces,) arrays.

    Attributes:
        shards: which shard.
        starts: the first token in it.
        lengths: in tokens.
        rows, columns: the sequence among those asked for, and the place in it.
    """

    shards: Ints
    starts: Ints
    lengths: Ints
    rows: Ints
    columns: Ints

    def __getitem__(self, chosen: Ints | slice) -> "Pieces":
        fields = (self.shards, self.starts, self.lengths, self.rows, self.columns)
        return Pieces(*(field[chosen] for field in fields))

    def filled(self, num_rows: int) -> Ints:
        """(num_rows,) how many tokens of each sequence they make up."""
        return np.bincount(self.rows, self.lengths, num_rows).astype(np.int64)

    def by_shard(self) -> Iterator[tuple[int, "Pieces"]]:
        """The pieces of each shard, shard by shard, so that each is opened once."""
        if not len(self.shards):
            return
        order = np.argsort(self.shards, kind="stable")
        ordered = self[order]
        ends = [*(np.flatnonzero(np.diff(ordered.shards)) + 1).tolist(), len(order)]
        begin = 0
        for end in ends:
            yield int(ordered.shards[begin]), ordered[begin:end]
            begin = end


def cut_stream(positions: Ints, sequence_length: int, tokens_before: Ints) -> Pieces:
    """The pieces of sequences that are cut out of the concatenation of shards.

    Args:
        positions: (n,) sequence numbers; sequence p begins at token p x `sequence_length`.
        sequence_length: tokens a sequence; it takes one more, its last label.
        tokens_before: (num_shards + 1,) tokens of all shards before each, and of all.
    """
    rows = np.arange(len(positions))
    starts = positions.astype(np.int64) * sequence_length
    shards = np.searchsorted(tokens_before, starts, side="right") - 1
    offsets = starts - tokens_before[shards]
    columns = np.zeros_like(starts)
    parts = []
    while True:
        lengths = np.minimum(sequence_length + 1 - columns, tokens_before[shards + 1] - tokens_before[shards] - offsets)
        parts.append(Pieces(shards, offsets, lengths, rows, columns))
        goes_on = np.flatnonzero(columns + lengths <= sequence_length)
        if not len(goes_on):
            break
        rows, shards, columns = rows[goes_on], shards[goes_on] + 1, (columns + lengths)[goes_on]
        offsets = np.zeros_like(rows)
    return parts[0] if len(parts) == 1 else joined(parts)


def joined(parts: Sequence[Pieces]) -> Pieces:
    """All pieces of several."""
    names = ("shards", "starts", "lengths", "rows", "columns")
    return Pieces(*(np.concatenate([np.empty(0, np.int64), *(getattr(part, name) for part in parts)]) for name in names))


def ranges(firsts: Ints, ends: Ints) -> tuple[Ints, Ints]:
    """Every integer of every range.

    Args:
        firsts, ends: (n,) each range is from `firsts` up to but without `ends`.

    Returns:
        (total,) which range each integer belongs to, and (total,) the integers.
    """
    counts = ends - firsts
    which = np.repeat(np.arange(len(counts)), counts)
    return which, np.arange(len(which)) - (counts.cumsum() - counts - firsts)[which]
