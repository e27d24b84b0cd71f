"""The tokenizer's facts, and the width of a token that follows from them."""

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from orchestrator.config.data import ShardsConfig, SourceConfig
from orchestrator.errors import ConfigError
from orchestrator.shards.gathering import gather
from orchestrator.shards.reader import ShardReader
from orchestrator.shards.vocabulary import check_fits, load_vocabulary
from tests.corpus.writing import write_texts
from tests.support.prepared import prepare_source
from tests.support.tiny import END, VOCABULARY, write_model


def write_words_model(folder: Path, num_tokens: int) -> Path:
    """A model whose tokenizer knows the words w0, w1, … up to a number of tokens."""
    write_model(folder, vocab_size=num_tokens)
    tokenizer = Tokenizer(models.WordLevel({END: 0} | {f"w{index}": index for index in range(1, num_tokens)}, unk_token=END))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.mark.parametrize(("num_tokens", "dtype"), [(1 << 16, "uint16"), ((1 << 16) + 1, "uint32")])
def test_the_largest_token_comes_back_from_the_narrowest_type_that_holds_it(tmp_path: Path, num_tokens: int, dtype: str) -> None:
    vocabulary = load_vocabulary(str(write_words_model(tmp_path / "model", num_tokens)), None)
    last = num_tokens - 1
    file = write_texts(tmp_path / "a.jsonl", [f"w1 w{last} w2 w{last}"])
    source = SourceConfig(role="general", paths=(str(file),))
    manifest = prepare_source(
        "code", source, ShardsConfig(dir=str(tmp_path), document_separator=None, shard_bytes=1, packing="concatenate"), vocabulary
    )
    assert (manifest.dtype, (tmp_path / "code" / manifest.train[0].file).stat().st_size) == (dtype, 5 * np.dtype(dtype).itemsize)
    reader = ShardReader(tmp_path / "code", manifest, "train")
    assert gather(reader, np.array([0]), 4).tolist() == [[1, last, 2, last, 0]]


@pytest.mark.parametrize("size", [VOCABULARY, VOCABULARY + 1, 100_000])
def test_a_model_with_as_many_embeddings_or_more_fits(tmp_path: Path, size: int) -> None:
    folder = str(write_model(tmp_path, vocab_size=size))
    check_fits(load_vocabulary(folder, None), folder)


def test_a_model_with_one_embedding_too_few_is_refused_with_both_numbers(tmp_path: Path) -> None:
    folder = str(write_model(tmp_path, vocab_size=VOCABULARY - 1))
    with pytest.raises(ConfigError, match=rf"{VOCABULARY} tokens .* {VOCABULARY - 1}"):
        check_fits(load_vocabulary(folder, None), folder)


def test_the_vocabulary_size_of_a_model_with_a_text_part_is_that_of_the_part(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    (folder / "config.json").write_text(json.dumps({"text_config": {"vocab_size": VOCABULARY}}))
    check_fits(load_vocabulary(str(folder), None), str(folder))


def test_the_separator_is_the_one_that_is_named_or_the_end_of_sequence(tmp_path: Path) -> None:
    folder = str(write_model(tmp_path))
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert load_vocabulary(folder, None).separator_id == tokenizer.token_to_id(END)
    assert load_vocabulary(folder, "!").separator_id == tokenizer.token_to_id("!")


def test_a_separator_that_is_no_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"shards\.document_separator='<\|nope\|>'"):
        load_vocabulary(str(write_model(tmp_path)), "<|nope|>")


def test_an_end_of_sequence_may_be_written_as_an_object_and_must_be_there(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": END}}))
    assert load_vocabulary(str(folder), None) == load_vocabulary(str(folder), END)
    (folder / "tokenizer_config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"shards\.document_separator"):
        load_vocabulary(str(folder), None)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_a_file_that_the_model_lacks_is_named(tmp_path: Path, name: str) -> None:
    folder = write_model(tmp_path)
    (folder / name).unlink()
    with pytest.raises(ConfigError, match=name):
        load_vocabulary(str(folder), None)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "config.json"])
@pytest.mark.parametrize("content", ["[1]", "{"])
def test_a_file_of_the_model_that_is_damaged_is_an_error_that_names_it(tmp_path: Path, name: str, content: str) -> None:
    folder = write_model(tmp_path)
    (folder / name).write_text(content)
    with pytest.raises(ConfigError, match=name):
        check_fits(load_vocabulary(str(folder), None), str(folder))


@pytest.mark.parametrize("path", ["/nowhere/at/all", "./nowhere"])
def test_a_model_that_is_not_there_is_told_by_its_key(path: str) -> None:
    with pytest.raises(ConfigError, match=rf"model\.path={path}"):
        load_vocabulary(path, None)
