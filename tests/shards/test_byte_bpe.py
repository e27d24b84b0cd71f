"""tiktoken gives the tokenizer's own ids, for every kind of tokenizer that is converted; the others are refused with a reason."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiktoken import Encoding
from tokenizers import Regex, Tokenizer, pre_tokenizers

from orchestrator.shards.byte_bpe import byte_alphabet, convert_byte_bpe
from orchestrator.shards.encoder import Encoder, open_encoder
from orchestrator.shards.split_pattern import NotConvertibleError
from tests.support.byte_level import GAPS, PRE_TOKENIZERS, content_of, train, with_shuffled_ids, write_vocabulary

NASTY = " \t\n\r\u00a0\u2003\u0085\u3000\x00aAbsStTlLdDrevm'\u2019\u017f01²½٣\U00011de1\u0301e\u00e9中かア한م.-=!<|>_/\u200d👩👍\U0010ffff"
TEXTS = st.text(st.sampled_from(NASTY), max_size=40) | st.text(max_size=40)
PIECES = st.sampled_from(
    [" ", "  ", "\n", " \n ", "12", "2024", "don't", "WE'LL", "the", "river", "中文", "...", "Été", "\u0301", "==", "<|endoftext|>"]
)
WORDY = st.lists(PIECES, max_size=30).map("".join)


@pytest.fixture(scope="module", params=[*PRE_TOKENIZERS, "shuffled ids", "ignored merges", "nfc", "few bytes"])
def engines(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Encoder, Encoder]:
    """Both engines of a tokenizer."""
    makers: dict[str, Callable[[], Tokenizer | dict[str, Any]]] = {
        "shuffled ids": lambda: with_shuffled_ids(train("digits")),
        "ignored merges": lambda: ignoring_merges(train("llama3")),
        "nfc": lambda: train("qwen", nfc=True),
        "few bytes": lambda: without_bytes(train("digits"), b"\x00\xc2\xf4"),
    }
    tokenizer = makers.get(request.param, lambda: train(request.param))()
    vocabulary = write_vocabulary(tmp_path_factory.mktemp("model"), tokenizer)
    return open_encoder(vocabulary, "tiktoken"), open_encoder(vocabulary, "tokenizers")


def ignoring_merges(tokenizer: Tokenizer) -> dict[str, Any]:
    """Llama 3's way: a piece that is a token is that token, even one that no merges reach."""
    content = content_of(tokenizer)
    vocabulary = content["model"]["vocab"]
    vocabulary |= {token: len(vocabulary) + index for index, token in enumerate(["Ġriverbed", "zqzqz", "789"])}
    return content | {"model": content["model"] | {"ignore_merges": True}}


def without_bytes(tokenizer: Tokenizer, lacking: bytes) -> dict[str, Any]:
    """A vocabulary that lacks bytes, and so all that is made of them; like SmolLM2's."""
    content = content_of(tokenizer)
    model = content["model"]
    gone = {character for character, byte in byte_alphabet().items() if byte in lacking}
    model["merges"] = [merge for merge in model["merges"] if not gone & set("".join(merge))]
    model["vocab"] = {token: number for token, number in model["vocab"].items() if not gone & set(token)}
    return content


def agree(engines: tuple[Encoder, Encoder], text: str) -> None:
    fast, exact = (encoder.encode_batch([text])[0].tolist() for encoder in engines)
    assert fast == exact


@settings(max_examples=150, deadline=None)
@given(text=TEXTS | WORDY)
def test_both_engines_give_the_same_ids_for_any_text(engines: tuple[Encoder, Encoder], text: str) -> None:
    agree(engines, text)


BEFORE = ["", "a", ".", "1", "中"]
SPACES = [" ", "  ", "   ", "\n", " \n", "\n ", "\t\t", "\u00a0\u00a0", "\u2003 ", "\r\n\r\n"]
AFTER = ["", "a", "'s", "1", "²", ".", "\U00011de1", "\u0301"]


def test_both_engines_cut_white_space_alike_between_anything(engines: tuple[Encoder, Encoder]) -> None:
    for parts in itertools.product(BEFORE, SPACES, AFTER):
        agree(engines, "".join(parts))


@pytest.mark.parametrize("unit", ["a", " ", "\n", "1", "\u4e2d"])
def test_a_megabyte_of_the_same_is_encoded_alike_and_in_linear_time(tmp_path: Path, unit: str) -> None:
    vocabulary = write_vocabulary(tmp_path, train("digits"))
    engines = open_encoder(vocabulary, "tiktoken"), open_encoder(vocabulary, "tokenizers")
    agree(engines, unit * ((1 << 20) // len(unit.encode())) + "x")


def characters() -> list[str]:
    """Every character of the planes that have any but ideographs and private ones."""
    return [chr(number) for number in range(0x20000) if not 0xD800 <= number < 0xE000]


@pytest.mark.parametrize(
    "part", [rf"\p{{{name}}}" for name in ("L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "N", "P", "S", "Han")] + [r"\s", r"\S"]
)
def test_the_known_parts_of_patterns_mean_the_same_characters_in_both_libraries(part: str) -> None:
    every = "".join(characters())
    found = bytes(
        Encoding("x", pat_str=part, mergeable_ranks={bytes([b]): b for b in range(256)}, special_tokens={}).encode_ordinary(every)
    )
    split = pre_tokenizers.Split(Regex(part), "removed", invert=True)
    assert found.decode() == "".join(piece for piece, _ in split.pre_tokenize_str(every))


def test_both_engines_know_the_same_digits(tmp_path: Path) -> None:
    vocabulary = write_vocabulary(tmp_path, train("digits"))
    text = "".join("  " + character for character in characters())  # only before a digit are two spaces one piece
    fast, exact = (open_encoder(vocabulary, name).encode_batch([text])[0] for name in ("tiktoken", "tokenizers"))
    assert np.array_equal(fast, exact)


def changed(kind: str = "gpt2", **model: object) -> dict[str, Any]:
    content = content_of(train(kind))
    return content | {"model": content["model"] | model}


def splitting(**step: object) -> dict[str, Any]:
    content = content_of(train("llama3"))
    content["pre_tokenizer"]["pretokenizers"][0] |= step
    return content


def unlisted_merges(**extra: list[list[str]]) -> dict[str, Any]:
    content = changed()
    content["model"]["vocab"] |= {"abc": 900, "bc": 901, "ab": 902}
    content["model"]["merges"] = extra["merges"]
    return content


REFUSED: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "another model": (lambda: changed(type="WordPiece"), "WordPiece"),
    "dropout": (lambda: changed(dropout=0.1), "dropout"),
    "suffix": (lambda: changed(end_of_word_suffix="</w>"), "end_of_word_suffix"),
    "no pre-tokenizer": (lambda: changed() | {"pre_tokenizer": None}, "ByteLevel"),
    "prefix space": (lambda: changed() | {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True}}, "adds a space"),
    "merged splits": (lambda: splitting(behavior="MergedWithNext"), "MergedWithNext"),
    "a plain string": (lambda: splitting(pattern={"String": " "}), "Isolated"),
    "words": (lambda: splitting(pattern={"Regex": r"\w+|\W+"}), r"\\w\+"),
    "anchors": (lambda: splitting(pattern={"Regex": r"^ |\s+"}), r"\^"),
    "look-behind": (lambda: splitting(pattern={"Regex": r"(?<= )\s+"}), r"\(\?<="),
    "ignoring the case": (lambda: splitting(pattern={"Regex": r"(?i:ss)+"}), r"\(\?i:ss"),
    "class operations": (lambda: splitting(pattern={"Regex": r"[\p{L}&&\p{Lu}]+"}), "&&"),
    "two quantifiers": (lambda: splitting(pattern={"Regex": r"\p{N}{1,3}+"}), r"\{1,3\}\+"),
    "a strange range": (lambda: splitting(pattern={"Regex": r"[a-\s]"}), "not read by every library"),
    "an empty match": (lambda: splitting(pattern={"Regex": r"\p{L}*"}), "empty"),
    "two splits": (lambda: two_splits(), "Split, Split, ByteLevel"),
    "two ways": (lambda: unlisted_merges(merges=[["b", "c"], ["a", "bc"], ["a", "b"], ["ab", "c"]]), "'abc' at two places"),
    "late parts": (lambda: unlisted_merges(merges=[["ab", "c"], ["a", "b"]]), "'abc' of tokens that only later"),
    "a pair of tokens": (
        lambda: changed(ignore_merges=True, vocab=changed()["model"]["vocab"] | {"qz": 900}),
        "'qz', which no merge makes",
    ),
}


def two_splits() -> dict[str, Any]:
    content = content_of(train("llama3"))
    steps = content["pre_tokenizer"]["pretokenizers"]
    steps.insert(0, steps[0] | {"pattern": {"Regex": GAPS}})
    return content


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_known_to_be_equal_is_refused_with_its_reason(case: str) -> None:
    make, reason = REFUSED[case]
    with pytest.raises(NotConvertibleError, match=reason):
        convert_byte_bpe(make())


def test_files_of_the_first_versions_are_read_too() -> None:
    content = changed()
    model = content["model"]
    older = {key: value for key, value in model.items() if key != "type"} | {"merges": [" ".join(merge) for merge in model["merges"]]}
    one, other = (convert_byte_bpe(content | {"model": form}).encode("the river, 12  2024") for form in (model, older))
    assert one is not None and other is not None
    assert one.tolist() == other.tolist()


def test_a_token_that_merges_never_reach_is_not_reached(tmp_path: Path) -> None:
    content = changed()
    content["model"]["vocab"] = {token: number for token, number in content["model"]["vocab"].items() if len(token) == 1}
    content["model"]["vocab"] |= {"bc": 900, "ab": 901, "abc": 902, "zq": 903}
    content["model"]["merges"] = [["b", "c"], ["a", "b"], ["ab", "c"]]  # bc is taken first: abc never comes about
    vocabulary = write_vocabulary(tmp_path, content)
    for engine in (open_encoder(vocabulary, "tiktoken"), open_encoder(vocabulary, "tokenizers")):
        (ids,) = engine.encode_batch(["abc zq"])
        assert not set(ids.tolist()) & {902, 903}
        assert 900 in ids
