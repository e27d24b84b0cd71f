"""Training text that overlaps an evaluation set: 13 words in a row that an item has too, or a line that is one of its short lines.

Thirteen words are what the GPT-3 report used (Brown et al., arXiv 2005.14165, appendix C). A question, answer or code line with fewer words
has no 13-gram, so whole lines of 3 to 12 words are looked for as well; lines of one or two words would be found everywhere.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from orchestrator.corpus.batches import in_batches
from orchestrator.corpus.bitmap import Bitmap, make_bitmap
from orchestrator.corpus.hashes import Hashes, Ints, hash_runs, places
from orchestrator.corpus.words import Words, ngrams, split_words

NGRAM_WORDS = 13
FEWEST_LINE_WORDS = 3
EXAMPLE_CHARACTERS = 100
_BITS_PER_HASH = 32


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """What is known of an evaluation set.

    Attributes:
        name: as configured.
        num_items: its texts.
        num_unchecked: those with fewer than 13 words and no line of 3 or more: nothing can be found of them.
    """

    name: str
    num_items: int
    num_unchecked: int


@dataclass(frozen=True, slots=True)
class OverlapIndex:
    """All 13-grams and short lines of some evaluation sets.

    Attributes:
        sets: the evaluation sets, by name.
        hashes: (n,) of the 13-grams and lines, sorted; one that is in several sets occurs once for each.
        set_of: (n,) number of the set of each hash.
        bitmap: of the hashes.
    """

    sets: tuple[EvaluationSet, ...]
    hashes: Hashes
    set_of: Ints
    bitmap: Bitmap


@dataclass(frozen=True, slots=True)
class Overlap:
    """A document that overlaps an evaluation set.

    Attributes:
        document: its number in the batch.
        set_name: the evaluation set.
        text: the first of the document's texts that are in the set, as it stands there, at most EXAMPLE_CHARACTERS characters.
    """

    document: int
    set_name: str
    text: str


def index_evaluation_sets(items: Mapping[str, Iterable[str]]) -> OverlapIndex:
    """Index evaluation sets; 20 to 24 bytes for each of their 13-grams and short lines.

    Args:
        items: the texts of each set.
    """
    sets, hashes = [], []
    for name in sorted(items):
        evaluation_set, found = _index_set(name, items[name])
        sets.append(evaluation_set)
        hashes.append(found)
    together = np.concatenate([np.zeros(0, dtype=np.uint64), *hashes])
    set_of = np.repeat(np.arange(len(sets)), [len(found) for found in hashes])
    order = np.argsort(together, kind="stable")
    return OverlapIndex(tuple(sets), together[order], set_of[order], make_bitmap(together, _BITS_PER_HASH))


def _index_set(name: str, items: Iterable[str]) -> tuple[EvaluationSet, Hashes]:
    num_items = num_unchecked = 0
    hashes = [np.zeros(0, dtype=np.uint64)]
    for batch in in_batches(items, len):
        words = split_words(batch)
        found, first, _ = _passages(words)
        reached = np.diff(np.searchsorted(np.sort(first), words.documents)) > 0
        num_items += len(batch)
        num_unchecked += int(np.count_nonzero(~reached))
        hashes.append(np.unique(found))
    return EvaluationSet(name, num_items, num_unchecked), np.unique(np.concatenate(hashes))


def find_overlaps(words: Words, index: OverlapIndex) -> list[Overlap]:
    """Find the documents of a batch that overlap evaluation sets.

    Args:
        words: of the batch.
        index: the evaluation sets.

    Returns:
        One for each document and set that it overlaps, by document, then by set.
    """
    if not len(index.hashes):
        return []
    hashes, first, lengths = _passages(words, index.bitmap)
    left, right = (np.searchsorted(index.hashes, hashes, side=side) for side in ("left", "right"))
    owners, positions = places(right - left)
    return list(_first_of_each(words, first[owners], lengths[owners], index, index.set_of[left[owners] + positions]))


def _passages(words: Words, among: Bitmap | None = None) -> tuple[Hashes, Ints, Ints]:
    """The hash, first word and length in words of 13-grams and short lines: of all, or of those that may be among some hashes."""
    ngram_hashes, inside = ngrams(words, NGRAM_WORDS)
    first = np.flatnonzero(inside & among.might_hold(ngram_hashes) if among else inside)
    lengths = np.diff(words.lines)
    short = np.flatnonzero((lengths >= FEWEST_LINE_WORDS) & (lengths < NGRAM_WORDS))
    line_hashes = hash_runs(words.hashes, words.lines[short], lengths[short])
    lines = among.might_hold(line_hashes) if among else np.ones(len(short), dtype=np.bool_)
    return (
        np.concatenate([ngram_hashes[first], line_hashes[lines]]),
        np.concatenate([first, words.lines[short[lines]]]),
        np.concatenate([np.full(len(first), NGRAM_WORDS), lengths[short[lines]]]),
    )


def _first_of_each(words: Words, first: Ints, lengths: Ints, index: OverlapIndex, set_of: Ints) -> Iterator[Overlap]:
    """The hit with the earliest word (of two with the same, the shorter) for each document and set."""
    documents = np.searchsorted(words.documents, first, side="right") - 1
    order = np.lexsort((lengths, first, set_of, documents))
    pairs = documents[order] * len(index.sets) + set_of[order]
    for hit in order[np.flatnonzero(np.diff(pairs, prepend=-1))].tolist():
        text = words.text(int(first[hit]), int(lengths[hit]), EXAMPLE_CHARACTERS)
        yield Overlap(int(documents[hit]), index.sets[set_of[hit]].name, text)
