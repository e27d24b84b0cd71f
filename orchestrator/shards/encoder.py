"""Text to token ids by either of two engines that agree: `tokenizers`, which reads every tokenizer, and tiktoken, which is faster."""

import json
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from orchestrator.shards.added_tokens import AddedTokens
from orchestrator.shards.byte_bpe import convert_byte_bpe
from orchestrator.shards.engines import EngineName
from orchestrator.shards.split_pattern import NotConvertibleError
from orchestrator.shards.vocabulary import SpecialTokens, Vocabulary


class Encoder(Protocol):
    """What turns texts into token ids, one thread at a time."""

    def encode_batch(self, texts: Sequence[str]) -> list[NDArray[np.uint32]]:
        """Encode each text on its own, whatever else is in the batch. No special tokens are added.

        Returns:
            (num_tokens,) ids of each text.
        """


@lru_cache(maxsize=4)
def open_encoder(vocabulary: Vocabulary, engine: EngineName, special_tokens: SpecialTokens = "as text") -> Encoder:
    """The encoder of a vocabulary; opened once a process.

    Args:
        vocabulary: the tokenizer.
        engine: `tiktoken` only where it was found to be equal.
        special_tokens: whether a text that spells a special token becomes that token.

    Raises:
        NotConvertibleError: the engine is tiktoken, and the tokenizer is not known to have an equal there.
    """
    return (TiktokenEncoder if engine == "tiktoken" else TokenizersEncoder)(vocabulary, special_tokens)


class TokenizersEncoder:
    """The tokenizer itself."""

    def __init__(self, vocabulary: Vocabulary, special_tokens: SpecialTokens) -> None:
        self._tokenizer = vocabulary.open(special_tokens)

    def encode_batch(self, texts: Sequence[str]) -> list[NDArray[np.uint32]]:
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, dtype=np.uint32) for encoding in encodings]


class TiktokenEncoder:
    """tiktoken with the tokenizer's ranks. The few texts that it cannot do are encoded by the tokenizer itself."""

    def __init__(self, vocabulary: Vocabulary, special_tokens: SpecialTokens) -> None:
        content = json.loads(vocabulary.file.read_text(encoding="utf-8"))
        self._tokenizer = vocabulary.open(special_tokens)
        self._normalises = _normalises(content)
        self._added = AddedTokens(content.get("added_tokens") or [], special_tokens, self._normalise)
        self._bpe = convert_byte_bpe(content)

    def encode_batch(self, texts: Sequence[str]) -> list[NDArray[np.uint32]]:
        return [self._encode(text) for text in texts]

    def _encode(self, text: str) -> NDArray[np.uint32]:
        parts = []
        for piece, token_id in self._added.cut(text):
            ids = self._bpe.encode(piece) if token_id is None else np.array([token_id], dtype=np.uint32)
            if ids is None:
                return np.array(self._tokenizer.encode(text, add_special_tokens=False).ids, dtype=np.uint32)
            parts.append(ids)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _normalise(self, text: str) -> str:
        if not self._normalises or unicodedata.is_normalized("NFC", text):
            return text
        normalised: str = self._tokenizer.normalizer.normalize_str(text)
        return normalised


def _normalises(content: dict[str, object]) -> bool:
    """Whether a tokenizer brings text into Unicode's form NFC first.

    Raises:
        NotConvertibleError: it changes text in another way.
    """
    normalizer = content.get("normalizer")
    if normalizer not in (None, {"type": "NFC"}):
        raise NotConvertibleError(f"its normalizer is not NFC: {json.dumps(normalizer)[:200]}")
    return normalizer is not None
