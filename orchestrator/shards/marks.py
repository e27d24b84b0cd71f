"""What lies beside a shard's tokens: where its documents start, and which spans of tokens carry no loss."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orchestrator.shards.manifest import Shard
from orchestrator.shards.mapped import open_map
from orchestrator.shards.pieces import Ints, Pieces, ranges

OpenFile = Callable[[str, int], memoryview]
ON_DISK = np.dtype("<i8")  # written as unsigned and far below 2^63: read like this, they are searched without a conversion


def read_starts(directory: Path, shard: Shard, open_file: OpenFile = open_map) -> Ints:
    """The first token of each document.

    Args:
        directory: of the source.
        shard: one of its shards.
        open_file: maps a file, given its path and its size in bytes.

    Returns:
        (documents,) numbers within the shard, rising.

    Raises:
        ShardError: the file is missing or of another size.
    """
    return np.frombuffer(open_file(f"{directory}/{shard.starts_file}", ON_DISK.itemsize * shard.documents), ON_DISK)


def read_spans(directory: Path, shard: Shard, open_file: OpenFile = open_map) -> Ints:
    """The spans of tokens that carry no loss.

    Args:
        directory: of the source.
        shard: one of its shards.
        open_file: maps a file, given its path and its size in bytes.

    Returns:
        (untrained_spans, 2) first token of each and the one after its last, sorted and disjoint.

    Raises:
        ShardError: the file is missing or of another size.
    """
    if not shard.untrained_spans:
        return np.empty((0, 2), dtype=np.int64)
    size_bytes = 2 * ON_DISK.itemsize * shard.untrained_spans
    return np.frombuffer(open_file(f"{directory}/{shard.untrained_file}", size_bytes), ON_DISK).reshape(-1, 2)


def untrained_before(spans: Ints, tokens: Ints) -> Ints:
    """How many tokens that carry no loss stand before each of some tokens.

    Args:
        spans: (num_spans, 2) as `read_spans` gives them.
        tokens: (n,) numbers within the shard.

    Returns:
        (n,) counts.
    """
    if not len(spans):
        return np.zeros_like(tokens)
    begun = np.searchsorted(spans[:, 0], tokens)
    whole = np.concatenate([[0], np.cumsum(spans[:, 1] - spans[:, 0])])
    return whole[begun] - np.where(begun > 0, np.maximum(0, spans[begun - 1, 1] - tokens), 0)


def places_of_starts(pieces: Pieces, starts: Ints) -> tuple[Ints, Ints]:
    """Where documents begin in pieces of one shard.

    Args:
        pieces: (num_pieces,).
        starts: (num_documents,) as `read_starts` gives them.

    Returns:
        Their rows and columns.
    """
    which, index = ranges(np.searchsorted(starts, pieces.starts), np.searchsorted(starts, pieces.starts + pieces.lengths))
    return pieces.rows[which], pieces.columns[which] + starts[index] - pieces.starts[which]


def documents_in(pieces: Pieces, starts: Ints) -> Ints:
    """Which documents lie in pieces of one shard.

    Args:
        pieces: (num_pieces,).
        starts: (num_documents,) as `read_starts` gives them.

    Returns:
        (3, n) for each document of each piece the row of the piece, the document's number within the shard, and how many of its tokens the
        piece has.
    """
    ends = pieces.starts + pieces.lengths
    which, index = ranges(np.searchsorted(starts, pieces.starts, side="right") - 1, np.searchsorted(starts, ends))
    begins = np.maximum(starts[index], pieces.starts[which])
    is_last = np.append(which[1:] != which[:-1], True)
    return np.stack([pieces.rows[which], index, np.where(is_last, ends[which], np.append(begins[1:], 0)) - begins])


def add_steps_of_spans(steps: NDArray[np.int8], pieces: Pieces, spans: Ints) -> None:
    """Mark where untrained spans begin and end in pieces of one shard, so that the running sum of a row is 1 within them.

    Args:
        steps: (num_sequences, sequence_length + 2) what is added to: 1 where a span begins, -1 behind its end.
        pieces: (num_pieces,).
        spans: (num_spans, 2) as `read_spans` gives them.
    """
    ends = pieces.starts + pieces.lengths
    firsts = np.searchsorted(spans[:, 1], pieces.starts, side="right")
    which, index = ranges(firsts, np.maximum(firsts, np.searchsorted(spans[:, 0], ends)))
    shift = (pieces.columns - pieces.starts)[which]
    begin, end = np.maximum(spans[index, 0], pieces.starts[which]), np.minimum(spans[index, 1], ends[which])
    np.add.at(steps, (pieces.rows[which], begin + shift), 1)
    np.add.at(steps, (pieces.rows[which], end + shift), -1)
