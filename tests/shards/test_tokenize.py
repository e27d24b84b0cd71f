"""Files in, token shards out: exact, resumable, and the same however they were cut."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from tokenizers import Tokenizer

from orchestrator.config.data import ShardsConfig, SourceConfig
from orchestrator.corpus.documents import document_id
from orchestrator.errors import DataError, InfrastructureError
from orchestrator.shards.manifest import Manifest
from orchestrator.shards.tokenize import tokenise_unit
from orchestrator.shards.vocabulary import SpecialTokens, Vocabulary, load_vocabulary
from tests.corpus.writing import write_texts
from tests.support.prepared import prepare_source, task_of, units_of
from tests.support.tiny import END, write_model

TEXTS = {f"{name}.jsonl": [f"the river {name} {index} asks twice" * (1 + index % 3) for index in range(25)] for name in "abcd"}


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    return load_vocabulary(str(write_model(tmp_path_factory.mktemp("model"))), None)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Four files of twenty-five documents."""
    for name, texts in TEXTS.items():
        write_texts(tmp_path / "corpus" / name, texts)
    return tmp_path / "corpus"


def source_of(*paths: Path, **changes: object) -> SourceConfig:
    return SourceConfig(role="general", paths=tuple(map(str, paths)), **changes)  # type: ignore[arg-type]


def shards_in(folder: Path, shard_bytes: int = 1) -> ShardsConfig:
    return ShardsConfig(dir=str(folder), document_separator=None, shard_bytes=shard_bytes, packing="concatenate")


def tokens_of(folder: Path, manifest: Manifest, split: str) -> list[int]:
    parts = [np.fromfile(folder / manifest.name / shard.file, dtype=manifest.dtype) for shard in manifest.shards(split)]
    return [int(token) for part in parts for token in part]


def expected_tokens(vocabulary: Vocabulary, texts: list[str]) -> list[int]:
    tokenizer = vocabulary.open()
    return [token for text in texts for token in [*tokenizer.encode(text, add_special_tokens=False).ids, vocabulary.separator_id]]


LONG_AGO = 10**18  # nanoseconds; whatever is written now is later, however coarse the clock


def backdate(*paths: Path) -> None:
    for path in paths:
        os.utime(path, ns=(LONG_AGO, LONG_AGO))


def written_now(folder: Path) -> set[str]:
    """Which files of units were written after they were backdated."""
    of_source = {"manifest.json", "rejects.jsonl", "found.jsonl"}
    return {path.name for path in folder.iterdir() if path.name not in of_source and path.stat().st_mtime_ns != LONG_AGO}


def test_the_tokens_on_disk_are_the_tokenizers_with_a_separator_after_each_document(
    tmp_path: Path, corpus: Path, vocabulary: Vocabulary
) -> None:
    manifest = prepare_source("code", source_of(corpus), shards_in(tmp_path), vocabulary)
    every_text = [text for texts in TEXTS.values() for text in texts]
    tokens = tokens_of(tmp_path, manifest, "train")
    assert tokens == expected_tokens(vocabulary, every_text)
    assert (manifest.tokens("train"), manifest.documents("train"), manifest.rejects) == (len(tokens), len(every_text), 0)
    assert tokens.count(vocabulary.separator_id) == len(every_text)


def test_the_index_beside_a_shard_leads_to_each_document(tmp_path: Path, corpus: Path, vocabulary: Vocabulary) -> None:
    manifest = prepare_source("code", source_of(corpus / "a.jsonl"), shards_in(tmp_path), vocabulary)
    (shard,) = manifest.train
    tokens = np.fromfile(tmp_path / "code" / shard.file, dtype=manifest.dtype)
    rows = parquet.read_table(tmp_path / "code" / shard.file.replace(".bin", ".documents.parquet")).to_pylist()
    assert np.fromfile(tmp_path / "code" / shard.starts_file, dtype="<u8").tolist() == [row["start"] for row in rows]
    for row, text in zip(rows, TEXTS["a.jsonl"], strict=True):
        assert tokens[row["start"] : row["start"] + row["tokens"]].tolist() == expected_tokens(vocabulary, [text])
        assert row["id"] == document_id(text)
    assert [row["origin"] for row in rows] == [f"{corpus / 'a.jsonl'}:{line}" for line in range(1, 26)]


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_the_concatenation_over_shards_is_the_same_however_large_they_are(
    tmp_path: Path, corpus: Path, vocabulary: Vocabulary, share: float
) -> None:
    found = {}
    for shard_bytes in (1, 3000, 4000, 1 << 30):
        folder = tmp_path / str(shard_bytes)
        manifest = prepare_source("code", source_of(corpus, heldout_share=share), shards_in(folder, shard_bytes), vocabulary)
        found[shard_bytes, len(manifest.train)] = [tokens_of(folder, manifest, split) for split in ("train", "heldout")]
    first, *others = found.values()
    assert [other == first for other in others] == [True] * 3
    assert sorted(num_shards for _, num_shards in found) == [1, 2, 2, 4]


def test_held_out_documents_are_kept_apart_and_none_is_lost(tmp_path: Path, corpus: Path, vocabulary: Vocabulary) -> None:
    whole = prepare_source("code", source_of(corpus), shards_in(tmp_path / "whole"), vocabulary)
    parted = prepare_source("code", source_of(corpus, heldout_share=0.3), shards_in(tmp_path / "parted"), vocabulary)
    assert 0 < parted.documents("heldout") < parted.documents("train")
    for count in (Manifest.documents, Manifest.tokens):
        assert count(parted, "train") + count(parted, "heldout") == count(whole, "train")


def document_ids(folder: Path, split: str) -> set[str]:
    return {row for file in folder.glob(f"{split}_*.documents.parquet") for row in parquet.read_table(file)["id"].to_pylist()}


def test_copies_of_a_document_go_to_the_same_side(tmp_path: Path, corpus: Path, vocabulary: Vocabulary) -> None:
    write_texts(corpus / "copies.jsonl", [text for texts in TEXTS.values() for text in texts])
    prepare_source("code", source_of(corpus, heldout_share=0.3), shards_in(tmp_path), vocabulary)
    assert document_ids(tmp_path / "code", "train") & document_ids(tmp_path / "code", "heldout") == set()


def test_heldout_paths_are_held_out_whole(tmp_path: Path, corpus: Path, vocabulary: Vocabulary) -> None:
    source = source_of(corpus / "a.jsonl", corpus / "b.jsonl", heldout_paths=(str(corpus / "d.jsonl"),))
    manifest = prepare_source("code", source, shards_in(tmp_path), vocabulary)
    assert tokens_of(tmp_path, manifest, "heldout") == expected_tokens(vocabulary, TEXTS["d.jsonl"])
    assert tokens_of(tmp_path, manifest, "train") == expected_tokens(vocabulary, TEXTS["a.jsonl"] + TEXTS["b.jsonl"])


def test_a_held_out_file_that_is_among_the_paths_is_refused(tmp_path: Path, corpus: Path, vocabulary: Vocabulary) -> None:
    source = source_of(corpus, heldout_paths=(str(corpus / "d.jsonl"),))
    with pytest.raises(DataError, match=r"d\.jsonl is both in paths and in heldout_paths"):
        prepare_source("code", source, shards_in(tmp_path), vocabulary)


def test_a_second_run_keeps_every_unit_and_writes_the_same_manifest(tmp_path: Path, corpus: Path, vocabulary: Vocabulary) -> None:
    first = prepare_source("code", source_of(corpus), shards_in(tmp_path), vocabulary)
    backdate(*(tmp_path / "code").iterdir())
    assert prepare_source("code", source_of(corpus), shards_in(tmp_path), vocabulary) == first
    assert written_now(tmp_path / "code") == set()


def redone(tmp_path: Path, corpus: Path, vocabulary: Vocabulary, **changes: object) -> set[str]:
    """Which token files another run writes anew."""
    backdate(*(tmp_path / "code").iterdir())
    prepare_source("code", source_of(corpus, **changes), shards_in(tmp_path), vocabulary)
    return {name for name in written_now(tmp_path / "code") if name.endswith(".bin") and name.count(".") == 1}


def test_only_a_unit_that_lost_its_marker_or_has_a_torn_one_is_done_again(tmp_path: Path, corpus: Path, vocabulary: Vocabulary) -> None:
    first = prepare_source("code", source_of(corpus), shards_in(tmp_path), vocabulary)
    (tmp_path / "code" / "unit_00001.json").unlink()
    torn = tmp_path / "code" / "unit_00003.json"
    torn.write_text(torn.read_text()[:40])
    assert redone(tmp_path, corpus, vocabulary) == {"train_00001.bin", "train_00003.bin"}
    assert prepare_source("code", source_of(corpus), shards_in(tmp_path), vocabulary) == first


def test_only_a_unit_whose_file_changed_is_done_again(tmp_path: Path, corpus: Path, vocabulary: Vocabulary) -> None:
    prepare_source("code", source_of(corpus), shards_in(tmp_path), vocabulary)
    write_texts(corpus / "c.jsonl", ["something else"])
    assert redone(tmp_path, corpus, vocabulary) == {"train_00002.bin"}


@pytest.mark.parametrize("lost", ["train_00002.bin", "train_00002.starts.bin"])
def test_a_unit_whose_shard_was_lost_is_done_again(tmp_path: Path, corpus: Path, vocabulary: Vocabulary, lost: str) -> None:
    prepare_source("code", source_of(corpus), shards_in(tmp_path), vocabulary)
    (tmp_path / "code" / lost).unlink()
    assert redone(tmp_path, corpus, vocabulary) == {"train_00002.bin"}


@pytest.mark.parametrize("change", [{"heldout_share": 0.5}, {"text_field": "other"}])
def test_every_unit_is_done_again_when_what_decides_its_content_changed(
    tmp_path: Path, corpus: Path, vocabulary: Vocabulary, change: dict[str, object]
) -> None:
    for name, texts in TEXTS.items():
        rows = [json.dumps({"text": text, "other": f"{text}!"}) for text in texts]
        (corpus / name).write_text("\n".join(rows) + "\n")
    prepare_source("code", source_of(corpus), shards_in(tmp_path), vocabulary)
    assert {name for name in redone(tmp_path, corpus, vocabulary, **change) if name.startswith("train")} == {
        f"train_{index:05d}.bin" for index in range(4)
    }


@dataclass(frozen=True, slots=True)
class ChangingTokenizer:
    """A tokenizer during whose work somebody else rewrites the file that was read."""

    tokenizer: Tokenizer
    changed: Path
    content: str

    def encode_batch_fast(self, texts: list[str], add_special_tokens: bool) -> object:
        self.changed.write_text(self.content)
        return self.tokenizer.encode_batch_fast(texts, add_special_tokens=add_special_tokens)


@dataclass(frozen=True, slots=True)
class ChangingVocabulary(Vocabulary):
    """The vocabulary of such a tokenizer."""

    changed: Path
    content: str

    def open(self, special_tokens: SpecialTokens = "as text") -> Tokenizer:
        return ChangingTokenizer(Tokenizer.from_file(str(self.file)), self.changed, self.content)  # type: ignore[return-value]


def test_a_file_that_changed_after_it_was_read_is_read_again_by_the_next_run(tmp_path: Path, vocabulary: Vocabulary) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"text": "old"}\n')
    backdate(file)
    facts = (vocabulary.file, vocabulary.fingerprint, vocabulary.num_tokens, vocabulary.separator_id)
    changing = ChangingVocabulary(*facts, changed=file, content='{"text": "new"}\n')
    (unit,) = units_of(source_of(file), shards_in(tmp_path))
    tokenise_unit(task_of(unit, changing))
    (again,) = units_of(source_of(file), shards_in(tmp_path))
    assert task_of(unit, vocabulary).completed() is not None  # of the file as it was listed
    assert task_of(again, vocabulary).completed() is None  # of as many bytes, and another version
    with pytest.raises(DataError, match=r"a\.jsonl changed since it was listed"):
        tokenise_unit(task_of(unit, vocabulary))
    assert not task_of(unit, vocabulary).marker.exists()  # of what was about to be replaced
    manifest = prepare_source("code", source_of(file), shards_in(tmp_path), vocabulary)
    assert tokens_of(tmp_path, manifest, "train") == expected_tokens(vocabulary, ["new"])


def test_rejects_are_counted_and_kept_with_the_unit(tmp_path: Path, vocabulary: Vocabulary) -> None:
    file = write_texts(tmp_path / "a.jsonl", ["good", 5, "", "good too", 6, 7])
    (unit,) = units_of(source_of(file), shards_in(tmp_path))
    task = task_of(unit, vocabulary)
    for result in (tokenise_unit(task), task.completed()):
        assert result is not None
        assert [reject.origin for reject in result.rejects.first] == [f"{file}:2", f"{file}:3", f"{file}:5"]
        assert result.rejects.num_rows == 4
        assert result.train is not None
        assert result.train.documents == 2
    listed = task.unit.result("unit", ".rejects.jsonl").read_text()
    assert [json.loads(line)["line"] for line in listed.splitlines()] == [2, 3, 5, 6]


def test_a_source_of_rejects_alone_is_an_error_that_names_the_first(tmp_path: Path, vocabulary: Vocabulary) -> None:
    file = write_texts(tmp_path / "a.jsonl", [5, ""])
    with pytest.raises(DataError) as caught:
        prepare_source("code", source_of(file), shards_in(tmp_path), vocabulary)
    named = ["'code'", "2 rejected", f"{file}:1", "the text is a int, not a string", "sources.code.paths"]
    assert [part for part in named if part not in str(caught.value)] == []
    assert not (tmp_path / "code" / "manifest.json").exists()


def test_a_source_that_is_held_out_to_the_last_document_is_an_error(tmp_path: Path, corpus: Path, vocabulary: Vocabulary) -> None:
    with pytest.raises(DataError, match="'code' has no tokens to train on"):
        prepare_source("code", source_of(corpus, heldout_share=1.0), shards_in(tmp_path), vocabulary)


def test_shards_that_cannot_be_written_are_an_error_of_infrastructure_that_names_the_place(
    tmp_path: Path, corpus: Path, vocabulary: Vocabulary
) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(InfrastructureError, match=str(tmp_path / "taken")):
        prepare_source("code", source_of(corpus), shards_in(tmp_path / "taken"), vocabulary)


@pytest.mark.parametrize("name", ["a.md", "a.jsonl", "a.parquet"])
def test_a_file_that_vanished_before_it_was_read_is_an_error_of_the_data_that_names_it(
    tmp_path: Path, vocabulary: Vocabulary, name: str
) -> None:
    (tmp_path / name).write_text("text")
    (unit,) = units_of(source_of(tmp_path / name), shards_in(tmp_path / "shards"))
    task = task_of(unit, vocabulary)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=name):
        tokenise_unit(task)
    assert not task.marker.exists()


@pytest.mark.parametrize("setting", ["truncation", "padding"])
def test_a_setting_of_the_tokenizers_file_neither_cuts_nor_fills_documents(tmp_path: Path, setting: str) -> None:
    folder = write_model(tmp_path / "model")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts = ["the river " * 50, "the lock"]
    expected = [token for text in texts for token in [*tokenizer.encode(text).ids, tokenizer.token_to_id(END)]]
    if setting == "truncation":
        tokenizer.enable_truncation(max_length=16)
    else:
        tokenizer.enable_padding(pad_id=0, pad_token=END)
    tokenizer.save(str(folder / "tokenizer.json"))
    file = write_texts(tmp_path / "a.jsonl", texts)
    manifest = prepare_source("code", source_of(file), shards_in(tmp_path), load_vocabulary(str(folder), None))
    assert tokens_of(tmp_path, manifest, "train") == expected
