"""A source's sequences in its shards: where their tokens lie, which document each belongs to, and which carry loss."""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orchestrator.shards.manifest import Manifest
from orchestrator.shards.mapped import map_file, open_map
from orchestrator.shards.marks import add_steps_of_spans, documents_in, places_of_starts, read_spans, read_starts
from orchestrator.shards.packed import PackedSplit
from orchestrator.shards.packing import PackingMethod
from orchestrator.shards.pieces import Ints, Pieces, cut_stream

Tokens = NDArray[np.unsignedinteger]


class ShardReader:
    """One split of a prepared source. A shard is opened when it is first touched, and closed when others need its place.

    Attributes:
        dtype: of token ids.
        has_untrained: whether there are tokens that carry no loss.
    """

    def __init__(self, directory: Path, manifest: Manifest, split: str, packing: PackingMethod = "concatenate") -> None:
        """
        Args:
            directory: where the shards are.
            manifest: the source's.
            split: `train` or `heldout`.
            packing: how documents lie in sequences.
        """
        self.dtype = np.dtype(manifest.dtype).newbyteorder("<")
        self.has_untrained = packing == "best_fit" or manifest.untrained_tokens(split) > 0
        self._directory, self._manifest, self._split, self._packing = directory, manifest, split, packing
        self._shards = manifest.shards(split)
        self._tokens_before = np.cumsum([0, *(shard.tokens for shard in self._shards)], dtype=np.int64)
        self._packed: dict[int, PackedSplit] = {}  # by sequence length
        self._open = partial(map_file, object())  # an owner of its own

    @property
    def num_shards(self) -> int:
        return len(self._shards)

    def open_shard(self, index: int) -> memoryview:
        """A shard's bytes, for as long as they are held.

        Raises:
            ShardError: it is missing, or not as long as its manifest says.
        """
        return open_map(*self._file(index))

    def whole(self, positions: Ints, sequence_length: int) -> tuple[Ints, Ints]:
        """Which sequences are one run of tokens.

        Args:
            positions: (n,) sequence numbers within one epoch of the split.
            sequence_length: tokens a sequence, the shifted label not counted.

        Returns:
            (n,) the shard of each, -1 for those to `put_together`; and (n,) the first token in it.
        """
        if self._packing == "best_fit":
            return np.full_like(positions, -1), np.zeros_like(positions)
        starts = positions * sequence_length
        shards = np.searchsorted(self._tokens_before, starts, side="right") - 1
        shards[starts + sequence_length >= self._tokens_before[shards + 1]] = -1
        return shards, starts - self._tokens_before[shards]

    def put_together(self, positions: Ints, sequence_length: int) -> Iterator[bytes]:
        """The tokens of each sequence, out of as many pieces as it has.

        Args:
            positions: (n,) sequence numbers within one epoch of the split.
            sequence_length: tokens a sequence, the shifted label not counted.

        Raises:
            ShardError: a shard or an index is missing, or not as long as its manifest says.
        """
        pieces, size = self.pieces(positions, sequence_length), self.dtype.itemsize
        pieces = pieces[np.lexsort((pieces.columns, pieces.rows))]
        filling = np.full(sequence_length + 1, self._manifest.separator_id, self.dtype).tobytes()
        columns = (pieces.shards, pieces.starts * size, (pieces.starts + pieces.lengths) * size)
        found = zip(*(column.tolist() for column in columns), strict=True)
        for count in np.bincount(pieces.rows, minlength=len(positions)).tolist():
            sequence = b"".join(self._open(*self._file(shard))[begin:end] for shard, begin, end in islice(found, count))
            yield sequence + filling[len(sequence) :]

    def documents(self, positions: Ints, sequence_length: int) -> NDArray[np.int32]:
        """Which document each token of sequences belongs to.

        Args:
            positions: (n,) sequence numbers within one epoch of the split.
            sequence_length: tokens a sequence, the shifted label not counted.

        Returns:
            (n, sequence_length + 1) documents, counted from 0 within each sequence; what fills a sequence up is one of its own.

        Raises:
            ShardError: the starts of a shard are missing or damaged.
        """
        pieces = self.pieces(positions, sequence_length)
        begins = np.zeros((len(positions), sequence_length + 1), dtype=np.int8)
        if self._packing == "best_fit":
            filled = pieces.filled(len(positions))
            begins[pieces.rows, pieces.columns] = 1
            begins[np.flatnonzero(filled <= sequence_length), filled[filled <= sequence_length]] = 1
        else:
            for shard, chosen in pieces.by_shard():
                begins[places_of_starts(chosen, read_starts(self._directory, self._shards[shard], self._open))] = 1
        begins[:, 0] = 0
        return np.cumsum(begins, axis=1, dtype=np.int32)

    def main_documents(self, positions: Ints, sequence_length: int) -> Ints:
        """Which document holds most of the tokens of each sequence, its last label among them; of several that hold as many, the first.

        Args:
            positions: (n,) sequence numbers within one epoch of the split.
            sequence_length: tokens a sequence, the shifted label not counted.

        Returns:
            (n,) numbers of documents within the split, from 0 in the order of its shards.

        Raises:
            ShardError: the starts of a shard are missing or damaged.
        """
        before = np.cumsum([0, *(shard.documents for shard in self._shards)])
        found = [np.empty((3, 0), dtype=np.int64)]
        for shard, chosen in self.pieces(positions, sequence_length).by_shard():
            parts = documents_in(chosen, read_starts(self._directory, self._shards[shard], self._open))
            parts[1] += before[shard]
            found.append(parts)
        rows, documents, tokens = np.concatenate(found, axis=1)  # no document has two pieces in one sequence
        order = np.lexsort((documents, -tokens, rows))
        most: Ints = documents[order[np.searchsorted(rows[order], np.arange(len(positions)))]]
        return most

    def trained(self, positions: Ints, sequence_length: int) -> NDArray[np.bool_]:
        """Which labels of sequences carry loss; that some are the first of a document is not considered.

        Args:
            positions: (n,) sequence numbers within one epoch of the split.
            sequence_length: tokens a sequence, the shifted label not counted.

        Returns:
            (n, sequence_length) for each label, which is the token after.

        Raises:
            ShardError: the spans of a shard are missing or damaged.
        """
        if not self.has_untrained:
            return np.ones((len(positions), sequence_length), dtype=np.bool_)
        pieces = self.pieces(positions, sequence_length)
        steps = np.zeros((len(positions), sequence_length + 2), dtype=np.int8)
        for shard, chosen in pieces.by_shard():
            add_steps_of_spans(steps, chosen, read_spans(self._directory, self._shards[shard], self._open))
        if self._packing == "best_fit":
            steps[np.arange(len(positions)), pieces.filled(len(positions))] += 1
        trained: NDArray[np.bool_] = np.cumsum(steps, axis=1, dtype=np.int8)[:, 1:-1] == 0
        return trained

    def marks(
        self, positions: Ints, sequence_length: int, *, document_attention: bool
    ) -> tuple[NDArray[np.int32] | None, NDArray[np.bool_]]:
        """What training needs to know of sequences beside their tokens.

        Args:
            positions: (n,) sequence numbers within one epoch of the split.
            sequence_length: tokens a sequence, the shifted label not counted.
            document_attention: whether each document sees itself alone.

        Returns:
            With document attention the `documents`, and the labels that carry loss: those `trained`, and with document attention not the
            first of a document.

        Raises:
            ShardError: what lies beside a shard is missing or damaged.
        """
        trained = self.trained(positions, sequence_length)
        if not document_attention:
            return None, trained
        documents = self.documents(positions, sequence_length)
        return documents, trained & (documents[:, 1:] == documents[:, :-1])

    def pieces(self, positions: Ints, sequence_length: int) -> Pieces:
        """Where the tokens of sequences lie.

        Args:
            positions: (n,) sequence numbers within one epoch of the split.
            sequence_length: tokens a sequence, the shifted label not counted.

        Raises:
            ShardError: the split is to be packed and is not, or an index of it is missing or damaged.
        """
        if self._packing == "concatenate":
            return cut_stream(positions, sequence_length, self._tokens_before)
        return self._packed_for(sequence_length).pieces(positions)

    def holding(self, shard: int, start: int, end: int, sequence_length: int) -> Ints:
        """The sequences that hold a stretch of tokens, the last token of a sequence, which only is a label, left to the next one.

        Args:
            shard: the index of the shard that the stretch is in.
            start, end: its first token in the shard, and the one after its last.
            sequence_length: tokens a sequence, the shifted label not counted.

        Raises:
            ShardError: as in `pieces`.
        """
        if self._packing == "best_fit":
            return self._packed_for(sequence_length).holding(shard, start, end)
        first, last = (int(self._tokens_before[shard]) + token for token in (start, end - 1))
        last = min(last // sequence_length, self._manifest.unique_sequences(self._split, sequence_length) - 1)
        return np.arange(first // sequence_length, last + 1)

    def _packed_for(self, sequence_length: int) -> PackedSplit:
        if sequence_length not in self._packed:
            self._packed[sequence_length] = PackedSplit(self._directory, self._manifest, self._split, sequence_length)
        return self._packed[sequence_length]

    def _file(self, index: int) -> tuple[str, int]:
        """A shard's path and size in bytes."""
        return f"{self._directory}/{self._shards[index].file}", self._shards[index].tokens * self.dtype.itemsize
