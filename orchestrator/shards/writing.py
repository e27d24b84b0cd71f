"""One shard as it is written: tokens as they come, and at the end where documents start and which tokens carry no loss."""

import os
from array import array
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from types import TracebackType

import numpy as np
import xxhash

from orchestrator.runs.durable import write_whole
from orchestrator.shards.document_list import DocumentListWriter
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
        self._num_tokens = 0
        self._starts = array("q")  # the first token of each document; eight bytes, where a list would take forty
        self._spans = array("q")  # the first token of each span and the one after its last, in turn
        self._list = DocumentListWriter(directory / f"{stem}.documents.parquet")

    def __enter__(self) -> "ShardWriter":
        self._partial = self._directory / f"{self._stem}.bin.partial-{os.getpid()}"
        self._file = self._partial.open("wb")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._file.close()
        finally:
            self._partial.unlink(missing_ok=True)
            self._list.__exit__(kind, error, trace)

    def add(self, batch: Sequence[Encoded]) -> None:
        if not batch:
            return
        parts = [part for encoded in batch for part in (encoded.ids, self._separator)]
        data = np.concatenate(parts, dtype=self._dtype, casting="same_kind").data
        self._file.write(data)
        self._hash.update(data)
        lengths = [len(encoded.ids) + 1 for encoded in batch]
        *starts, self._num_tokens = accumulate(lengths, initial=self._num_tokens)
        self._starts.extend(starts)
        spans = ((start, span) for start, encoded in zip(starts, batch, strict=True) for span in encoded.untrained)
        self._spans.extend(start + token for start, span in spans for token in span)
        documents = [encoded.document for encoded in batch]
        self._list.add([document.id for document in documents], [document.origin for document in documents], starts, lengths)

    def finish(self) -> Shard | None:
        """Make the shard durable. A split without documents has none."""
        if not self._starts:
            return None
        starts = np.array(self._starts, dtype=np.int64)
        spans = joined_spans(np.array(self._spans, dtype=np.int64).reshape(-1, 2))
        marks = xxhash.xxh3_128()
        shard = Shard(
            file=f"{self._stem}.bin",
            tokens=self._num_tokens,
            documents=len(starts),
            xxhash=self._hash.hexdigest(),
            untrained_tokens=int((spans[:, 1] - spans[:, 0]).sum()),
            untrained_spans=len(spans),
            untrained_firsts=int((untrained_before(spans, starts + 1) - untrained_before(spans, starts)).sum()),
            documents_bytes=self._list.finish(),
        )
        for name, numbers in zip(shard.files[1:], (starts, spans), strict=False):
            data = numbers.astype("<u8").tobytes()
            marks.update(data)
            write_whole(self._directory / name, data)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._partial.rename(self._directory / shard.file)
        return replace(shard, marks_xxhash=marks.hexdigest())


def joined_spans(spans: Ints) -> Ints:
    """Spans of tokens, those that touch made one.

    Args:
        spans: (n, 2) the first token of each and the one after its last, sorted.

    Returns:
        (num_spans, 2) first tokens and those after the last.
    """
    apart = spans[1:, 0] > spans[:-1, 1]
    edge = np.ones(min(1, len(spans)), dtype=np.bool_)
    return np.stack([spans[np.concatenate([edge, apart]), 0], spans[np.concatenate([apart, edge]), 1]], axis=1)
