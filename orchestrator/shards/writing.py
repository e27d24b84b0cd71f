"""One shard as it is written: tokens as they come, and at the end where documents start and which tokens carry no loss."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import xxhash

from orchestrator.runs.durable import write_whole
from orchestrator.shards.document_list import write_document_list
from orchestrator.shards.encoding import Encoded
from orchestrator.shards.manifest import Shard
from orchestrator.shards.marks import untrained_before
from orchestrator.shards.pieces import Ints


class ShardWriter:
    """Appends documents to the token file of a shard."""

    def __init__(self, directory: Path, stem: str, dtype: np.dtype[np.unsignedinteger], separator_id: int) -> None:
        """
        Args:
            directory: of the source.
            stem: the names of the shard's files, up to their ending.
            dtype: of token ids.
            separator_id: the token after every document.
        """
        self._directory, self._stem = directory, stem
        self._dtype = dtype.newbyteorder("<")
        self._separator = np.array([separator_id], dtype=np.uint32)
        self._hash = xxhash.xxh3_128()
        self._ids: list[str] = []
        self._origins: list[str] = []
        self._lengths: list[int] = []
        self._spans: list[tuple[int, int, int]] = []  # document, first token in it, the one after the last

    def __enter__(self) -> "ShardWriter":
        self._partial = self._directory / f"{self._stem}.bin.partial-{os.getpid()}"
        self._file = self._partial.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._partial.unlink(missing_ok=True)

    def add(self, batch: Sequence[Encoded]) -> None:
        if not batch:
            return
        parts = [part for encoded in batch for part in (encoded.ids, self._separator)]
        data = np.concatenate(parts, dtype=self._dtype, casting="same_kind").data
        self._file.write(data)
        self._hash.update(data)
        self._spans += [(len(self._ids) + at, *span) for at, encoded in enumerate(batch) for span in encoded.untrained]
        self._ids += [encoded.document.id for encoded in batch]
        self._origins += [encoded.document.origin for encoded in batch]
        self._lengths += [len(encoded.ids) + 1 for encoded in batch]

    def finish(self) -> Shard | None:
        """Make the shard durable. A split without documents has none."""
        if not self._ids:
            return None
        lengths = np.array(self._lengths, dtype=np.int64)
        starts = lengths.cumsum() - lengths
        spans = joined_spans(self._spans, starts)
        marks = xxhash.xxh3_128()
        shard = Shard(
            file=f"{self._stem}.bin",
            tokens=int(lengths.sum()),
            documents=len(lengths),
            xxhash=self._hash.hexdigest(),
            untrained_tokens=int((spans[:, 1] - spans[:, 0]).sum()),
            untrained_spans=len(spans),
            untrained_firsts=int((untrained_before(spans, starts + 1) - untrained_before(spans, starts)).sum()),
            documents_bytes=self._list_documents(starts, lengths),
        )
        for name, numbers in zip(shard.files[1:], (starts, spans), strict=False):
            data = numbers.astype("<u8").tobytes()
            marks.update(data)
            write_whole(self._directory / name, data)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._partial.rename(self._directory / shard.file)
        return replace(shard, marks_xxhash=marks.hexdigest())

    def _list_documents(self, starts: Ints, lengths: Ints) -> int:
        import pyarrow

        table = pyarrow.table({"id": self._ids, "origin": self._origins, "start": starts, "tokens": lengths})
        return write_document_list(self._directory / f"{self._stem}.documents.parquet", table)


def joined_spans(spans: Sequence[tuple[int, int, int]], starts: Ints) -> Ints:
    """Spans within documents as spans of a shard, those that touch made one.

    Args:
        spans: (document, first token in it, the one after the last) of each, sorted.
        starts: (num_documents,) the first token of each document.

    Returns:
        (num_spans, 2) first tokens and those after the last.
    """
    table = np.array(spans, dtype=np.int64).reshape(-1, 3)
    found = table[:, 1:] + starts[table[:, 0], None]
    apart = found[1:, 0] > found[:-1, 1]
    edge = np.ones(min(1, len(found)), dtype=np.bool_)
    return np.stack([found[np.concatenate([edge, apart]), 0], found[np.concatenate([apart, edge]), 1]], axis=1)
