"""Packed sequences out of a source's shards, by memory map."""

from bisect import bisect_right
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orchestrator.errors import ShardError
from orchestrator.shards.manifest import Manifest

Tokens = NDArray[np.unsignedinteger]


class ShardReader:
    """One split of a prepared source, opened: the concatenation of its shards."""

    def __init__(self, directory: Path, manifest: Manifest, split: str) -> None:
        """
        Args:
            directory: where the shards are.
            manifest: the source's.
            split: `train` or `heldout`.

        Raises:
            ShardError: a shard is missing or not as long as the manifest says.
        """
        self.dtype = np.dtype(manifest.dtype).newbyteorder("<")
        self._shards = [_open(directory / shard.file, shard.tokens, self.dtype) for shard in manifest.shards(split)]
        self._starts = [0, *np.cumsum([len(shard) for shard in self._shards]).tolist()]

    def gather(self, positions: NDArray[np.int64], sequence_length: int) -> Tokens:
        """Copy packed sequences.

        Args:
            positions: (n,) sequence numbers within one epoch of the split.
            sequence_length: tokens a sequence, the shifted label not counted.

        Returns:
            (n, sequence_length + 1) token ids.
        """
        sequences = np.empty((len(positions), sequence_length + 1), dtype=self.dtype)
        for row, position in zip(sequences, positions.tolist(), strict=True):
            self._copy(position * sequence_length, row)
        return sequences

    def _copy(self, start: int, row: Tokens) -> None:
        index = bisect_right(self._starts, start) - 1
        filled = 0
        while filled < len(row):
            offset = start + filled - self._starts[index]
            piece = self._shards[index][offset : offset + len(row) - filled]
            row[filled : filled + len(piece)] = piece
            filled += len(piece)
            index += 1


def _open(path: Path, num_tokens: int, dtype: np.dtype[np.unsignedinteger]) -> Tokens:
    try:
        shard: Tokens = np.memmap(path, dtype=dtype, mode="r")
    except (OSError, ValueError) as error:
        raise ShardError(f"{path} cannot be opened ({error}). Run `midtrain prepare` again.") from None
    if len(shard) != num_tokens:
        raise ShardError(
            f"{path} holds {len(shard):,} tokens, its manifest says {num_tokens:,}. Delete it and its unit marker, and prepare again."
        )
    return shard
