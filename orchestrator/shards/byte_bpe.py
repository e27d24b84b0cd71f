"""From a byte-level BPE model of `tokenizers` to a tiktoken encoding with the same ids, or the reason why there is none.

tiktoken joins the adjacent pair whose joined bytes have the lowest rank, whatever the pair; tokenizers joins the pair that is earliest in
the list of merges. The two are the same when every token is made of tokens that earlier merges make, and when what tokenizers makes of
the token's own text is the token. Both are checked here for every token, and tokens that merges never reach are left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tiktoken import Encoding
from tokenizers.models import BPE

from orchestrator.shards.split_pattern import NotConvertibleError, split_pattern

# tiktoken without a special token looks for the empty one, at every character.
_NEVER_PARSED = "\0never parsed\0"


@dataclass(frozen=True, slots=True)
class ByteBPE:
    """A tokenizer's pre-tokenizer and model, without normalizer and added tokens.

    Attributes:
        encoding: tiktoken's, from text to ranks.
        token_ids: (num_ranks,) the vocabulary's id of each rank. Later ranks are bytes that the vocabulary lacks.
    """

    encoding: Encoding
    token_ids: NDArray[np.uint32]

    def encode(self, text: str) -> NDArray[np.uint32] | None:
        """Token ids, special tokens as ordinary text.

        Returns:
            (num_tokens,) ids; none: the text has a byte that the vocabulary lacks, or a run too long for the regular expression.
        """
        try:
            ranks = self.encoding.encode_to_numpy(text, disallowed_special=())
        except ValueError:
            return None
        if ranks.size and ranks.max() >= len(self.token_ids):
            return None
        return self.token_ids[ranks]


def convert_byte_bpe(content: Mapping[str, Any]) -> ByteBPE:
    """Build the tiktoken encoding of a tokenizer's pre-tokenizer and model.

    Args:
        content: of its `tokenizer.json`.

    Raises:
        NotConvertibleError: they are not known to have an equal.
    """
    model = content["model"]
    if (kind := model.get("type", "BPE" if "merges" in model else None)) != "BPE":  # older files leave the type out
        raise NotConvertibleError(f"its model is {kind}, not BPE")
    if present := [key for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix") if model.get(key)]:
        raise NotConvertibleError(f"its BPE model has a {present[0]}")
    pattern = split_pattern(content.get("pre_tokenizer"))
    merges = [(left, right) for left, right in (m.split(" ") if isinstance(m, str) else m for m in model["merges"])]
    tokens = _ranked_tokens(model["vocab"], merges, bool(model.get("ignore_merges")))
    return _build(pattern, tokens, model["vocab"])


def _build(pattern: str, tokens: Sequence[str], vocabulary: Mapping[str, int]) -> ByteBPE:
    alphabet = byte_alphabet()
    lacking = [character for character in alphabet if character not in vocabulary]
    ranks = {bytes(map(alphabet.__getitem__, token)): rank for rank, token in enumerate([*tokens, *lacking])}
    try:
        encoding = Encoding("byte_bpe", pat_str=pattern, mergeable_ranks=ranks, special_tokens={_NEVER_PARSED: len(ranks)})
    except ValueError as error:
        raise NotConvertibleError(f"tiktoken does not take it: {error}") from None
    return ByteBPE(encoding, np.array([vocabulary[token] for token in tokens], dtype=np.uint32))


def _ranked_tokens(vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]], ignore_merges: bool) -> list[str]:
    """The tokens that text can become, in the order in which they are made; last those that only a whole piece becomes."""
    made, kept, skipped = _made(vocabulary, merges)
    model = BPE(dict(vocabulary), kept)
    apart = {token: ids for token in made if (ids := _ids(model, token)) != [vocabulary[token]]}
    if unsure := [token for token in skipped if token not in made or token in apart]:
        raise NotConvertibleError(f"its merges make {unsure[0]!r} of tokens that only later merges make")
    ranked = [token for token in made if token not in apart]
    return ranked + _whole_pieces(vocabulary, set(ranked), model) if ignore_merges else ranked


def _made(vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]]) -> tuple[dict[str, None], list[tuple[str, str]], list[str]]:
    """The tokens that merges make, in order, bytes first; the merges of tokens that were made before; what the other merges would make."""
    made = {character: None for character in byte_alphabet() if character in vocabulary}
    kept, skipped, last = [], [], ""
    for left, right in merges:
        token = left + right
        if left not in made or right not in made:
            skipped.append(token)
            continue
        if token in made and token != last:
            raise NotConvertibleError(f"its merges make {token!r} at two places of their order")
        made[token] = None
        kept.append((left, right))
        last = token
    return made, kept, skipped


def _whole_pieces(vocabulary: Mapping[str, int], ranked: set[str], model: BPE) -> list[str]:
    """The tokens that merges do not reach, when a whole piece that is a token is not merged (`ignore_merges`)."""
    alphabet = byte_alphabet()
    unreached = [token for token in vocabulary if token not in ranked and token and all(map(alphabet.__contains__, token))]
    if joined := [token for token in unreached if len(_ids(model, token)) < 3]:  # what becomes two tokens, tiktoken would join
        raise NotConvertibleError(f"its vocabulary has {joined[0]!r}, which no merge makes")
    return unreached


def _ids(model: BPE, text: str) -> list[int]:
    return [token.id for token in model.tokenize(text)]


def byte_alphabet() -> dict[str, int]:
    """The character that stands for each byte in byte-level vocabularies (GPT-2's `bytes_to_unicode`), and the byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + index): byte for index, byte in enumerate(others)}
