"""Shards written by hand: tokens, where documents start, and which tokens carry no loss."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path

import numpy as np

from orchestrator.shards.manifest import Manifest, Shard
from tests.support.prepared import manifest_of


@dataclass(frozen=True)
class Written:
    """A shard: the tokens of each of its documents, and which of all its tokens carry no loss."""

    documents: list[list[int]]
    untrained: set[int] = field(default_factory=set)

    @property
    def tokens(self) -> list[int]:
        return [token for document in self.documents for token in document]

    @property
    def firsts(self) -> list[int]:
        return list(accumulate(map(len, self.documents[:-1]), initial=0))

    @property
    def spans(self) -> list[tuple[int, int]]:
        begins = [token for token in sorted(self.untrained) if token - 1 not in self.untrained]
        ends = [token + 1 for token in sorted(self.untrained) if token + 1 not in self.untrained]
        return list(zip(begins, ends, strict=True))


def write_shard(folder: Path, name: str, shard: Written, dtype: str) -> Shard:
    np.array(shard.tokens, dtype=np.dtype(dtype).newbyteorder("<")).tofile(folder / f"{name}.bin")
    np.array(shard.firsts, dtype="<u8").tofile(folder / f"{name}.starts.bin")
    if shard.spans:
        np.array(shard.spans, dtype="<u8").tofile(folder / f"{name}.untrained.bin")
    return Shard(
        file=f"{name}.bin",
        tokens=len(shard.tokens),
        documents=len(shard.documents),
        xxhash=name,
        untrained_tokens=len(shard.untrained),
        untrained_spans=len(shard.spans),
        untrained_firsts=len(shard.untrained & set(shard.firsts)),
    )


def write_source(folder: Path, shards: Sequence[Written], dtype: str = "uint16", separator_id: int = 0) -> Manifest:
    """Token files of the train split, and a manifest that lists them in order."""
    listed = [write_shard(folder, f"train_{index:05d}", shard, dtype) for index, shard in enumerate(shards)]
    return replace(manifest_of(listed, dtype=dtype), separator_id=separator_id)
