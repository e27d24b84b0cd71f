"""Probes as tokens: every choice of every item as a sequence of its own, after its prompt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from orchestrator.config.schema import Config
from orchestrator.corpus.storage import SourceFile
from orchestrator.errors import DataError
from orchestrator.evaluation.probe_items import ProbeItem, hash_items, list_probe_files, read_items
from orchestrator.shards.encoder import open_encoder
from orchestrator.shards.vocabulary import Vocabulary, load_vocabulary

TokenIds = NDArray[np.uint32]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Probe:
    """A probe of n items with c choices in all.

    Attributes:
        name: of it.
        items: a hash of what is asked; scores of other items cannot be compared with those of these.
        num_choices: (n,) of each item.
        answers: (n,) the number of the right one.
        sequences: of each choice, item by item: the tokens of the document separator, the prompt and the choice.
        num_scored: (c,) how many of them, at the end, are the choice's.
        num_cut: items that were longer than a sequence, and lost the beginning of their prompt.
    """

    name: str
    items: str
    num_choices: Ints
    answers: Ints
    sequences: Sequence[TokenIds]
    num_scored: Ints
    num_cut: int

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence."""
        return max(map(len, self.sequences))


def probes_of(config: Config) -> list[Probe]:
    """The probes that a configuration asks for.

    Raises:
        OrchestratorError: one cannot be read, or there is no tokenizer.
    """
    if not config.evaluation.probes:
        return []
    vocabulary = load_vocabulary(config.model.path, config.shards.document_separator)
    return open_probes(config.evaluation.probes, vocabulary, config.training.sequence_length)


def open_probes(paths: Mapping[str, Sequence[str]], vocabulary: Vocabulary, sequence_length: int) -> list[Probe]:
    """Read and tokenise probes. Those whose files have not changed since the last time are not read again.

    Args:
        paths: of the files of each.
        vocabulary: the tokenizer.
        sequence_length: `training.sequence_length`.

    Raises:
        OrchestratorError: files cannot be read, a line is no item, or a choice is none for this tokenizer.
    """
    return [_opened(name, list_probe_files(name, given), vocabulary, sequence_length) for name, given in paths.items()]


@lru_cache(maxsize=16)  # a sweep plans each of its trials
def _opened(name: str, files: tuple[SourceFile, ...], vocabulary: Vocabulary, sequence_length: int) -> Probe:
    return make_probe(name, read_items(name, files), vocabulary, sequence_length)


def make_probe(name: str, items: Sequence[ProbeItem], vocabulary: Vocabulary, sequence_length: int) -> Probe:
    """Tokenise a probe.

    A prompt is tokenised alone and with each of its choices, as text that goes on. What all of these begin with is the context, and the
    tokens after it are the choice's: where a token reaches over the end of the prompt, it is the choice's, and so is what the other choices
    have in its place, so that all choices of an item are judged from the same context. Before the prompt stands the document separator, as
    it stands before documents in training; so the first token of a choice always has a context.

    An item whose longest choice does not fit into a sequence loses tokens at its left, as many for each choice.

    Args:
        name: of the probe.
        items: at least one.
        vocabulary: the tokenizer; what spells a special token is text.
        sequence_length: labels that a sequence has at most.

    Raises:
        DataError: a choice has no token of its own, or more than a sequence.
    """
    texts = [text for item in items for text in (item.prompt, *(item.prompt + choice for choice in item.choices))]
    ids = open_encoder(vocabulary, "tokenizers").encode_batch(texts)
    ends = np.cumsum([0, *(1 + len(item.choices) for item in items)]).tolist()
    sequences, num_scored, num_cut = list[TokenIds](), list[int](), 0
    for item, (begin, end) in zip(items, pairwise(ends), strict=True):
        context = _shared(ids[begin:end])
        scored = [len(each) - context for each in ids[begin + 1 : end]]
        _check_scored(name, item, scored, sequence_length)
        cut = max(0, context + max(scored) - sequence_length)
        separator = np.array([vocabulary.separator_id], dtype=np.uint32)
        sequences += [np.concatenate([separator, each])[cut:] for each in ids[begin + 1 : end]]
        num_scored += scored
        num_cut += cut > 0
    return Probe(
        name=name,
        items=hash_items(items),
        num_choices=np.array([len(item.choices) for item in items]),
        answers=np.array([item.answer for item in items]),
        sequences=tuple(sequences),
        num_scored=np.array(num_scored),
        num_cut=num_cut,
    )


def _shared(ids: Sequence[TokenIds]) -> int:
    """With how many tokens all begin."""
    shortest = min(map(len, ids))
    differs = (np.stack([each[:shortest] for each in ids]) != ids[0][:shortest]).any(axis=0)
    return int(differs.argmax()) if differs.any() else shortest


def _check_scored(name: str, item: ProbeItem, scored: Sequence[int], sequence_length: int) -> None:
    for choice, num in zip(item.choices, scored, strict=True):
        if num == 0:
            raise DataError(
                f"probe {name!r}: {item.origin}: to this tokenizer, the prompt with the choice {choice[:40]!r} is no longer than without "
                f"it or than with another choice. Write another choice."
            )
        if num > sequence_length:
            raise DataError(
                f"probe {name!r}: {item.origin}: the choice {choice[:40]!r}… has {num:,} tokens, over "
                f"training.sequence_length={sequence_length}. Shorten it, or leave the item out."
            )
