"""Sequences of several sources, copied side by side out of the maps of their shards."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.shards.copying import address_of, copy_rows
from orchestrator.shards.mapped import MOST_MAPS
from orchestrator.shards.pieces import Ints
from orchestrator.shards.reader import ShardReader, Tokens


@dataclass(frozen=True, slots=True)
class Places:
    """Where sequences lie.

    Attributes:
        shards: (n,) of all sources' shards, numbered through; -1 for a sequence that is made of several pieces.
        starts: (n,) the first byte in it.
    """

    shards: Ints
    starts: Ints

    def __getitem__(self, chosen: slice) -> "Places":
        return Places(self.shards[chosen], self.starts[chosen])


class Gatherer:
    """Copies sequences. A shard is opened when it is first touched; when too many are open, all are closed."""

    def __init__(self, readers: Sequence[ShardReader]) -> None:
        """
        Args:
            readers: one a source, with ids of one type, as they come of one tokenizer.
        """
        (self._dtype,) = {reader.dtype for reader in readers}
        self._readers = readers
        self._shards_before = np.cumsum([0, *(reader.num_shards for reader in readers)])
        self._maps: dict[int, memoryview] = {}
        self._within = range(0)  # from the lowest address of a map to the highest
        self._addresses = np.zeros(self._shards_before[-1] + 1, dtype=np.int64)  # of open shards, else 0; the last is that of no shard

    def places(self, sources: Ints, positions: Ints, sequence_length: int) -> Places:
        """Where sequences lie; no file is opened for it, and many at once cost a fraction of what few do.

        Args:
            sources: (n,) which source each is from.
            positions: (n,) sequence numbers within one epoch of the source.
            sequence_length: tokens a sequence, the shifted label not counted.
        """
        shards, starts = np.empty_like(positions), np.empty_like(positions)
        for index in np.flatnonzero(np.bincount(sources)).tolist():
            rows = np.flatnonzero(sources == index)
            found, starts[rows] = self._readers[index].whole(positions[rows], sequence_length)
            shards[rows] = np.where(found < 0, -1, found + self._shards_before[index])
        return Places(shards, starts * self._dtype.itemsize)

    def gather(self, sources: Ints, positions: Ints, sequence_length: int, places: Places | None = None) -> Tokens:
        """Copy sequences.

        Args:
            sources, positions, sequence_length: as `places` takes them.
            places: what it gave, if it was asked before.

        Returns:
            (n, sequence_length + 1) token ids.

        Raises:
            ShardError: a shard that they are in is missing, or not as long as its manifest says.
        """
        places = places or self.places(sources, positions, sequence_length)
        tokens = self._copy(places, sequence_length + 1)
        in_pieces = np.flatnonzero(places.shards < 0)
        for index in np.unique(sources[in_pieces]) if len(in_pieces) else ():
            rows = in_pieces[sources[in_pieces] == index]
            for row, sequence in zip(rows, self._readers[index].put_together(positions[rows], sequence_length), strict=True):
                tokens[row] = np.frombuffer(sequence, self._dtype)
        return tokens

    def _copy(self, places: Places, num_tokens: int) -> Tokens:
        """(n, num_tokens): anything in the rows of those that are made of several pieces."""
        row_bytes = num_tokens * self._dtype.itemsize
        starts = range(0, len(places.shards), MOST_MAPS)
        parts = [self._copy_some(places[start : start + MOST_MAPS], row_bytes) for start in starts]
        rows = parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, f"V{row_bytes}"), *parts])
        tokens: Tokens = rows.view(self._dtype).reshape(len(places.shards), num_tokens)
        return tokens

    def _copy_some(self, places: Places, row_bytes: int) -> NDArray[np.void]:
        """Of no more shards than may be open together."""
        addresses, starts = self._addresses[places.shards], places.starts
        if not addresses.all():
            whole = places.shards >= 0
            if not whole.any():
                return np.empty(len(whole), f"V{row_bytes}")
            self._open(np.unique(places.shards[whole]))
            addresses, starts = self._addresses[np.where(whole, places.shards, places.shards.max())], np.where(whole, starts, 0)
        return copy_rows(addresses + starts, row_bytes, self._within)

    def _open(self, shards: Ints) -> None:
        """Have all of some shards open."""
        closed = shards[self._addresses[shards] == 0]
        if len(self._maps) + len(closed) > MOST_MAPS:
            self._addresses[list(self._maps)] = 0
            self._maps, closed = {}, shards
        sources = np.searchsorted(self._shards_before, closed, side="right") - 1
        opened = {
            shard: self._readers[source].open_shard(shard - int(self._shards_before[source]))
            for shard, source in zip(closed.tolist(), sources.tolist(), strict=True)
        }  # what is known changes only when all of them could be opened
        self._maps |= opened
        self._addresses[list(opened)] = [address_of(mapped) for mapped in opened.values()]
        begins = self._addresses[list(self._maps)].tolist()
        self._within = range(min(begins), max(map(int.__add__, begins, map(len, self._maps.values()))))


def gather(reader: ShardReader, positions: Ints, sequence_length: int) -> Tokens:
    """Copy sequences of one source; see `Gatherer.gather`."""
    return Gatherer([reader]).gather(np.zeros_like(positions), positions, sequence_length)
