"""What a person wants to see of prepared shards: how long the documents are, and what some of them look like after tokenising."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from orchestrator.errors import ShardError
from orchestrator.shards.document_list import read_document_list
from orchestrator.shards.manifest import Manifest, Shard
from orchestrator.shards.mapped import open_map


@dataclass(frozen=True, kw_only=True, slots=True)
class Lengths:
    """The lengths of a split's documents in tokens, separators included.

    Attributes:
        documents, tokens: in all.
        mean, median, percentile_95, longest: of the lengths.
        histogram: (from, to, documents) of each bin: lengths from a power of two up to the next, without it.
    """

    documents: int
    tokens: int
    mean: float
    median: float
    percentile_95: float
    longest: int
    histogram: list[tuple[int, int, int]]


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodedDocument:
    """A document as its tokens spell it."""

    id: str
    origin: str
    tokens: int
    text: str


def measure_lengths(directory: Path, shards: Sequence[Shard]) -> Lengths:
    """Measure the documents of a split.

    Args:
        directory: the source's.
        shards: of the split, at least one.

    Raises:
        ShardError: a list of documents is missing or damaged.
    """
    lengths = np.concatenate([read_document_list(directory, shard, ["tokens"])["tokens"].to_numpy() for shard in shards])
    return Lengths(
        documents=len(lengths),
        tokens=int(lengths.sum()),
        mean=float(lengths.mean()),
        median=float(np.median(lengths)),
        percentile_95=float(np.percentile(lengths, 95)),
        longest=int(lengths.max()),
        histogram=_histogram(lengths),
    )


def _histogram(lengths: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    powers = np.log2(lengths).astype(np.int64)
    counts = np.bincount(powers)
    return [(1 << power, 2 << power, int(counts[power])) for power in range(int(powers.min()), len(counts))]


def decode_some(directory: Path, manifest: Manifest, split: str, num_documents: int) -> Iterator[DecodedDocument]:
    """Decode documents that are evenly spread over a split.

    Args:
        directory: the source's; it holds the tokenizer.json that made the shards.
        manifest: the source's.
        split: `train` or `heldout`.
        num_documents: how many.

    Raises:
        ShardError: the tokenizer, a shard or a list of documents is missing or damaged.
    """
    tokenizer = _open_tokenizer(directory)
    total = manifest.documents(split)
    num_documents = min(num_documents, total)
    wanted = [index * total // num_documents for index in range(num_documents)]
    before = 0
    for shard in manifest.shards(split):
        rows = [index - before for index in wanted if before <= index < before + shard.documents]
        before += shard.documents
        if rows:
            yield from _decode(directory, shard, manifest, tokenizer, rows)


def _decode(directory: Path, shard: Shard, manifest: Manifest, tokenizer: Tokenizer, rows: Sequence[int]) -> Iterator[DecodedDocument]:
    dtype = np.dtype(manifest.dtype).newbyteorder("<")
    tokens = np.frombuffer(open_map(str(directory / shard.file), shard.tokens * dtype.itemsize), dtype)
    table = read_document_list(directory, shard)
    for row in (table.slice(index, 1).to_pylist()[0] for index in rows):
        ids = tokens[row["start"] : row["start"] + row["tokens"]].tolist()
        text = tokenizer.decode(ids, skip_special_tokens=False)
        yield DecodedDocument(id=row["id"], origin=row["origin"], tokens=row["tokens"], text=text)


def _open_tokenizer(directory: Path) -> Tokenizer:
    path = directory / "tokenizer.json"
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing narrower
        raise ShardError(f"{path} cannot be read ({error}). Run `midtrain prepare` again.") from None
