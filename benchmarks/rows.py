"""The tokens that every peer is measured on: two sources of random ids, in which each sequence carries its own name.

A source is a stream of whole sequences and one more token, the last label. The first three tokens of a sequence are its mark: 0 or 1 for
the source, then the sequence's number in two digits of base VOCABULARY. So any batch of any peer tells what it is made of.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

VOCABULARY = 49_152
SEQUENCE_LENGTH = 2_048  # tokens trained in a sequence; a row has one more, the last label
ROW = SEQUENCE_LENGTH + 1
SOURCES = ("spec", "general")  # their indices are the first token of each sequence
SHARD_SEQUENCES = 32_000  # 125 MiB, about what `shards.shard_bytes` of text come to as it is in conf
_AT_ONCE = 4_096

Rows = NDArray[np.uint16]
Ids = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """How many sequences a source holds."""

    spec: int
    general: int

    def of(self, source: str) -> int:
        return {"spec": self.spec, "general": self.general}[source]


def write_source(folder: Path, source: str, num_sequences: int, seed: int) -> list[tuple[Path, int]]:
    """Write a source as shards of little-endian uint16 tokens, the concatenation of which is the stream.

    Args:
        folder: the source's directory, made here.
        source: a name of SOURCES.
        num_sequences: whole sequences.
        seed: of the random ids.

    Returns:
        (file, number of tokens) of each shard, in order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng([seed, SOURCES.index(source)])
    shards = []
    for first in range(0, num_sequences, SHARD_SEQUENCES):
        last = min(first + SHARD_SEQUENCES, num_sequences)
        path = folder / f"train_{first // SHARD_SEQUENCES:05d}.bin"
        with path.open("wb") as file:
            for start in range(first, last, _AT_ONCE):
                file.write(_sequences(random, source, range(start, min(start + _AT_ONCE, last))).tobytes())
            if last == num_sequences:
                file.write(np.zeros(1, np.uint16).tobytes())
        shards.append((path, (last - first) * SEQUENCE_LENGTH + (last == num_sequences)))
    return shards


def _sequences(random: np.random.Generator, source: str, numbers: range) -> Rows:
    tokens = random.integers(0, VOCABULARY, (len(numbers), SEQUENCE_LENGTH), dtype=np.uint16)
    high, low = np.divmod(np.asarray(numbers), VOCABULARY)
    tokens[:, 0], tokens[:, 1], tokens[:, 2] = SOURCES.index(source), low, high
    return tokens


def read_rows(folder: Path) -> Iterator[Rows]:
    """The rows of a source in order, for the writers of the peers' formats.

    Yields:
        (ROW,) token ids: a sequence and the token after it.
    """
    stream = np.concatenate([np.fromfile(path, np.uint16) for path in sorted(folder.glob("train_*.bin"))])
    yield from np.lib.stride_tricks.sliding_window_view(stream, ROW)[::SEQUENCE_LENGTH]


def identify(batch: NDArray[np.integer]) -> Ids:
    """Which sequences a batch is made of.

    Args:
        batch: (n, at least 3) token ids.

    Returns:
        (n,) ids: twice the sequence's number, plus the index of its source.
    """
    source, low, high = (np.asarray(batch[:, i], dtype=np.int64) for i in range(3))
    return 2 * (high * VOCABULARY + low) + source


def sources_of(ids: Ids) -> Ids:
    """The source index of each sequence id."""
    return ids % 2


def largest_error(sources: Ids, spec_share: float, lengths: Sequence[int]) -> list[float]:
    """How far a stream strays from its ratio.

    Args:
        sources: (n,) source indices in the order of training.
        spec_share: the share that was asked for.
        lengths: the last prefix to look at, one for each result.

    Returns:
        For each length the largest |spec sequences - spec_share x prefix| over all prefixes up to it, in sequences.
    """
    counts = np.cumsum(sources == SOURCES.index("spec"))
    errors = np.abs(counts - spec_share * np.arange(1, len(sources) + 1))
    return [float(errors[:length].max()) for length in lengths]
