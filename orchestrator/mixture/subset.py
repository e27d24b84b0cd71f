"""Fewer unique tokens of a source than it has: the first sequences of one permutation of it, which follows from its name alone.

So what a smaller number uses is a part of what a larger one uses, in runs of any seed, and is spread over the whole source.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

import xxhash

from orchestrator.errors import MixtureError
from orchestrator.mixture.interleave import Ints
from orchestrator.mixture.shuffle import shuffled, unshuffled


@dataclass(frozen=True, kw_only=True, slots=True)
class Subset:
    """Some of a source's sequences.

    Attributes:
        sequences: how many.
        trained_tokens: the tokens of all of them that carry a loss.
    """

    sequences: int
    trained_tokens: int


def subset_sequences(unique_tokens: int, whole: Subset, *, source_name: str) -> int:
    """How many sequences hold so many trained tokens, by the mean of the whole source.

    Args:
        unique_tokens: that the source is to be cut to.
        whole: all of the source.
        source_name: for messages.

    Returns:
        Whole sequences, at least one.

    Raises:
        MixtureError: they are none, or more than the source has.
    """
    key = f"mixture.unique_tokens.{source_name}={unique_tokens:,}"
    if unique_tokens > whole.trained_tokens:
        raise MixtureError(
            f"{key} is more than source {source_name!r} has: {whole.trained_tokens:,} trained tokens. Lower it to that, or leave it out to "
            f"use all of them."
        )
    mean = Fraction(whole.trained_tokens, whole.sequences)
    if unique_tokens < mean:
        raise MixtureError(
            f"{key} is less than a sequence of source {source_name!r}, of {float(mean):,.1f} trained tokens on average. Raise it to "
            f"{ceil(mean):,}, or shorten training.sequence_length."
        )
    return int(unique_tokens / mean)


def refuse_without_loss(subset: Subset, whole: Subset, *, source_name: str) -> None:
    """Refuse a subset that nothing could be learned from.

    Raises:
        MixtureError: none of its tokens carries a loss.
    """
    if not subset.trained_tokens:
        raise MixtureError(
            f"mixture.unique_tokens.{source_name}: none of the {subset.sequences:,} sequences that it comes to carries a loss. Raise it, "
            f"or leave it out to use all {whole.trained_tokens:,} trained tokens of source {source_name!r}."
        )


def subset_positions(places: Ints, *, unique_sequences: int, source_name: str) -> Ints:
    """Where the sequences of subsets are in the whole epoch of their source.

    Args:
        places: (n,) numbers within a subset, from 0; every subset that has a place has the same sequence there.
        unique_sequences: in the whole epoch.
        source_name: of the source.

    Returns:
        (n,) positions.
    """
    return shuffled(places, size=unique_sequences, key=_key(source_name))[1]


def subset_places(positions: Ints, *, unique_sequences: int, source_name: str) -> Ints:
    """Which place in subsets each position of a source's epoch has: the inverse of `subset_positions`.

    Args:
        positions: (n,) within the epoch.
        unique_sequences: in the whole epoch.
        source_name: of the source.

    Returns:
        (n,) places; a subset has those below its number of sequences.
    """
    return unshuffled(positions, epoch=0, size=unique_sequences, key=_key(source_name))


def _key(source_name: str) -> int:
    """No seed's `shuffle_key`: those begin with a number."""
    return xxhash.xxh3_64_intdigest(f"subset/{source_name}".encode())
