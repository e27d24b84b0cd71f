"""tiktoken is chosen where nothing parts it from the tokenizer; else the choice says what does."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from orchestrator.shards.engine_choice import choose_engine
from orchestrator.shards.vocabulary import SpecialTokens, Vocabulary
from tests.support.byte_level import PRE_TOKENIZERS, content_of, train, with_shuffled_ids, write_vocabulary

SAMPLE = ["the river 12", "été 中文", "<|endoftext|>"]


@dataclass(frozen=True, slots=True)
class MistakenVocabulary(Vocabulary):
    """A vocabulary whose file is not quite what its tokenizer does."""

    other: str

    def open(self, special_tokens: SpecialTokens = "as text") -> Tokenizer:
        tokenizer = Tokenizer.from_str(self.other)
        tokenizer.encode_special_tokens = special_tokens == "as text"
        return tokenizer


def mistaken(folder: Path, tokenizer: Tokenizer, other: Tokenizer) -> Vocabulary:
    vocabulary = write_vocabulary(folder, tokenizer)
    facts = (vocabulary.file, vocabulary.fingerprint, vocabulary.num_tokens, vocabulary.separator_id)
    return MistakenVocabulary(*facts, other=other.to_str())


@pytest.mark.parametrize("kind", PRE_TOKENIZERS)
def test_tiktoken_is_chosen_where_sample_and_constructed_texts_are_the_same(tmp_path: Path, kind: str) -> None:
    choice = choose_engine(write_vocabulary(tmp_path, train(kind)), SAMPLE)
    assert (choice.name, choice.sampled_documents, choice.sampled_bytes) == ("tiktoken", 3, sum(len(text.encode()) for text in SAMPLE))
    assert "3 documents of the source" in choice.reason


def test_a_tokenizer_without_an_equal_keeps_its_own_engine_and_the_reason_is_told(tmp_path: Path) -> None:
    content = content_of(train())
    choice = choose_engine(write_vocabulary(tmp_path, content | {"pre_tokenizer": None}), SAMPLE)
    assert choice.name == "tokenizers"
    assert "ByteLevel" in choice.reason


def test_a_difference_in_the_sample_is_told_with_its_place_and_the_ids(tmp_path: Path) -> None:
    tokenizer = train()
    choice = choose_engine(mistaken(tmp_path, tokenizer, with_shuffled_ids(tokenizer)), SAMPLE)
    first = tokenizer.encode(SAMPLE[0]).ids
    assert choice.name == "tokenizers"
    assert f"document 1 of the sample: from token 0 on it gives {first[:5]}, tokenizers [" in choice.reason


def test_a_difference_that_no_document_shows_is_found_by_the_constructed_texts(tmp_path: Path) -> None:
    one, other = train("gpt2"), train("gpt2")
    other.pre_tokenizer = PRE_TOKENIZERS["digits"]()
    choice = choose_engine(mistaken(tmp_path, one, other), ["the river"])
    assert choice.name == "tokenizers"
    assert "constructed text" in choice.reason
