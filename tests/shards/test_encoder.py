"""One interface over both engines: special tokens stay text unless asked for, added tokens are found, and nothing depends on the batch."""

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken

from orchestrator.shards.encoder import open_encoder
from orchestrator.shards.engines import EngineName
from orchestrator.shards.split_pattern import NotConvertibleError
from orchestrator.shards.vocabulary import SpecialTokens, Vocabulary
from tests.support.byte_level import END, content_of, train, write_vocabulary

ENGINES: tuple[EngineName, ...] = get_args(EngineName)
WAYS: tuple[SpecialTokens, ...] = get_args(SpecialTokens)
ADDED = ["  ", "    ", "<a>", "<a><b>", "e\u0301", "\u212b", "the"]
SPECIAL = ["<s>", "<a><s>", "<|x|>"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    return write_vocabulary(tmp_path_factory.mktemp("plain"), train("digits"))


@pytest.fixture(scope="module", params=[False, True], ids=["as it is", "nfc"])
def added(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    """A vocabulary with added tokens, special ones and others, that overlap; sought before and after normalisation."""
    tokenizer = train("gpt2", nfc=request.param)
    tokenizer.add_tokens([AddedToken(text, normalized=index % 2 == 0) for index, text in enumerate(ADDED)])
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in SPECIAL])
    return write_vocabulary(tmp_path_factory.mktemp("added"), tokenizer)


def encode(vocabulary: Vocabulary, engine: EngineName, text: str, special_tokens: SpecialTokens = "as text") -> list[int]:
    (ids,) = open_encoder(vocabulary, engine, special_tokens).encode_batch([text])
    return list(map(int, ids))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_text_that_spells_a_special_token_does_not_become_it(plain: Vocabulary, engine: EngineName) -> None:
    text = f"the end{END} the river{END}{END}"
    ids = encode(plain, engine, text)
    assert plain.separator_id not in ids
    assert plain.open().decode(ids, skip_special_tokens=False) == text


@pytest.mark.parametrize("engine", ENGINES)
def test_special_tokens_are_parsed_where_that_is_asked_for(plain: Vocabulary, engine: EngineName) -> None:
    assert encode(plain, engine, f"the{END}{END}", "parsed") == [*encode(plain, engine, "the"), plain.separator_id, plain.separator_id]


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=200, deadline=None)
@given(
    text=st.lists(st.sampled_from([*ADDED, *SPECIAL, END, " ", "a", "1", "\u00c5", "A\u030a", "\u00e9", "\n", ">", "<"]), max_size=15).map(
        "".join
    )
)
def test_both_engines_find_the_same_added_tokens(added: Vocabulary, text: str, way: SpecialTokens) -> None:
    assert encode(added, "tiktoken", text, way) == encode(added, "tokenizers", text, way)


@pytest.mark.parametrize("flag", ["lstrip", "rstrip", "single_word"])
def test_an_added_token_that_looks_at_its_neighbours_is_left_to_tokenizers(tmp_path: Path, flag: str) -> None:
    tokenizer = train()
    tokenizer.add_tokens([AddedToken("<a>", **{flag: True})])
    with pytest.raises(NotConvertibleError, match=f"'<a>' has {flag}"):
        open_encoder(write_vocabulary(tmp_path, tokenizer), "tiktoken")


@pytest.mark.parametrize(
    "normalizer", [{"type": "Lowercase"}, {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]}]
)
def test_a_normalizer_that_is_not_nfc_is_left_to_tokenizers(tmp_path: Path, normalizer: dict[str, Any]) -> None:
    with pytest.raises(NotConvertibleError, match="Lowercase"):
        open_encoder(write_vocabulary(tmp_path, content_of(train()) | {"normalizer": normalizer}), "tiktoken")


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=50, deadline=None)
@given(texts=st.lists(st.text(max_size=30), max_size=8), cut=st.integers(0, 8))
def test_a_text_is_encoded_the_same_whatever_the_batch(plain: Vocabulary, engine: EngineName, texts: list[str], cut: int) -> None:
    encoder = open_encoder(plain, engine)
    whole = encoder.encode_batch(texts)
    parted = encoder.encode_batch(texts[:cut]) + encoder.encode_batch(texts[cut:])
    assert [ids.tolist() for ids in whole] == [ids.tolist() for ids in parted]
    assert {ids.dtype for ids in whole} <= {np.dtype(np.uint32)}


def test_bytes_that_the_vocabulary_lacks_become_what_tokenizers_makes_of_them(tmp_path: Path) -> None:
    content = content_of(train())
    del content["model"]["vocab"]["Ā"]  # byte 0
    content["model"]["unk_token"] = END
    vocabulary = write_vocabulary(tmp_path, json.loads(json.dumps(content)))
    for text in ("\0", "a\0b", "..\0..", "the river"):
        assert encode(vocabulary, "tiktoken", text) == encode(vocabulary, "tokenizers", text)
    assert encode(vocabulary, "tiktoken", "\0") == [vocabulary.separator_id]
