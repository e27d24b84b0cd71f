"""What of a source decides its engine, and that it is decided once."""

from pathlib import Path

from orchestrator.config.data import ShardsConfig, SourceConfig
from orchestrator.corpus.units import Unit
from orchestrator.shards.engine_sample import EngineTask, choose_source_engine, sample_texts
from orchestrator.shards.vocabulary import Vocabulary
from tests.corpus.writing import write_texts
from tests.support.byte_level import train, write_vocabulary
from tests.support.prepared import units_of


def units(folder: Path) -> list[Unit]:
    source = SourceConfig(role="general", paths=(str(folder / "corpus"),))
    return units_of(source, ShardsConfig(dir=str(folder / "shards"), document_separator=None, shard_bytes=1, packing="concatenate"))


def vocabulary(folder: Path) -> Vocabulary:
    return write_vocabulary(folder / "model", train())


def test_the_sample_is_spread_evenly_over_the_beginnings_of_all_files(tmp_path: Path) -> None:
    for name in "abcd":
        write_texts(tmp_path / "corpus" / f"{name}.jsonl", [5, *(f"{name}{number}" for number in range(90))])
    assert sample_texts(units(tmp_path)) == [f"{name}{number}" for name in "abcd" for number in range(50)]


def test_of_many_files_those_are_sampled_that_are_spread_over_the_source(tmp_path: Path) -> None:
    for number in range(500):
        write_texts(tmp_path / "corpus" / f"{number:03d}.jsonl", [f"{number} first", "second"])
    assert sample_texts(units(tmp_path)) == [f"{500 * place // 200} first" for place in range(200)]


def test_long_documents_are_few_and_whole(tmp_path: Path) -> None:
    write_texts(tmp_path / "corpus" / "a.jsonl", ["x" * 200_000, "y" * 200_000, "z"])
    assert [text[0] for text in sample_texts(units(tmp_path))] == ["x", "y"]


def test_a_choice_is_kept_until_the_files_or_the_tokenizer_change(tmp_path: Path) -> None:
    write_texts(tmp_path / "corpus" / "a.jsonl", ["the river 12", "été"])
    task = EngineTask("code", units(tmp_path), vocabulary(tmp_path))
    assert task.completed() is None
    choice = choose_source_engine(task)
    assert (choice.name, choice.sampled_documents, choice.sampled_bytes) == ("tiktoken", 2, 17)
    assert task.completed() == choice
    other = write_vocabulary(tmp_path / "other", train("digits"))
    assert EngineTask("code", units(tmp_path), other).completed() is None
    write_texts(tmp_path / "corpus" / "b.jsonl", ["more"])
    assert EngineTask("code", units(tmp_path), vocabulary(tmp_path)).completed() is None
