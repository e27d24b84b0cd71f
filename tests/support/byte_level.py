"""Byte-level BPE tokenizers of every kind of pre-tokenizer, trained in milliseconds on text in which their pieces differ."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xxhash
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from orchestrator.shards.vocabulary import Vocabulary

END = "<|endoftext|>"
_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
LLAMA3 = rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN = LLAMA3.replace("{1,3}", "")
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
O200K = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CONTRACTIONS}?|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CONTRACTIONS}?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
GAPS = r"\p{Lu}\p{Ll}+|[!-/:-@]{2}|\s+(?=\p{N})"  # most of a text lies between its matches

_WORDS = "the river don't WE'LL it's 12 2024 3.14 été e\u0301te\u0301 naïve 中文字 かな 한국어 مرحبا ² 👩‍👩‍👧 == -- ... <|x|> a_b x1y2 'S"


def _split(pattern: str) -> Any:
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def _byte_level(use_regex: bool = True) -> Any:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


def _digits(individual: bool) -> Any:
    return pre_tokenizers.Digits(individual_digits=individual)


PRE_TOKENIZERS: dict[str, Callable[[], Any]] = {
    "gpt2": _byte_level,
    "digits": lambda: pre_tokenizers.Sequence([_digits(True), _byte_level()]),
    "runs of digits": lambda: pre_tokenizers.Sequence([_digits(False), _byte_level()]),
    "llama3": lambda: pre_tokenizers.Sequence([_split(LLAMA3), _byte_level(False)]),
    "qwen": lambda: pre_tokenizers.Sequence([_split(QWEN), _byte_level(False)]),
    "o200k": lambda: pre_tokenizers.Sequence([_split(O200K), _byte_level(False)]),
    "gaps": lambda: pre_tokenizers.Sequence([_split(GAPS), _byte_level(False)]),
    "digits and llama3": lambda: pre_tokenizers.Sequence([_digits(True), _split(LLAMA3), _byte_level(False)]),
}


def train(kind: str = "gpt2", *, nfc: bool = False, vocab_size: int = 600) -> Tokenizer:
    """A tokenizer of a kind, with all 256 bytes, one special token and merges across words, numbers, marks and white space."""
    pick = random.Random(0)
    tokenizer = Tokenizer(models.BPE())
    if nfc:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = PRE_TOKENIZERS[kind]()
    tokenizer.decoder = decoders.ByteLevel()
    gaps = [" ", " ", "  ", "   ", "\n", "\n\n", " \n", "\t", "\r\n", "\u00a0", "", ""]
    corpus = ["".join(pick.choice(_WORDS.split()) + pick.choice(gaps) for _ in range(400)) for _ in range(5)]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=[END], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(corpus, trainer)
    return tokenizer


def content_of(tokenizer: Tokenizer) -> dict[str, Any]:
    """What its tokenizer.json says."""
    content: dict[str, Any] = json.loads(tokenizer.to_str())
    return content


def with_shuffled_ids(tokenizer: Tokenizer) -> Tokenizer:
    """The same tokenizer, with ids in no order."""
    content = content_of(tokenizer)
    ids = list(range(tokenizer.get_vocab_size()))
    random.Random(1).shuffle(ids)
    content["model"]["vocab"] = {token: ids[number] for token, number in content["model"]["vocab"].items()}
    for token in content["added_tokens"]:
        token["id"] = ids[token["id"]]
    return Tokenizer.from_str(json.dumps(content))


def write_vocabulary(folder: Path, content: Tokenizer | dict[str, Any]) -> Vocabulary:
    """The vocabulary of a tokenizer, or of what its file says."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "tokenizer.json"
    file.write_text(json.dumps(content) if isinstance(content, dict) else content.to_str())
    tokenizer = Tokenizer.from_file(str(file))
    ids = tokenizer.get_vocab(with_added_tokens=True)
    return Vocabulary(file, xxhash.xxh3_128_hexdigest(file.read_bytes()), max(ids.values()) + 1, ids[END])
