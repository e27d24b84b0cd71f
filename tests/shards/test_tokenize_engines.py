"""A unit encoded by either engine: the same shards, but another unit of work; a document cannot end itself."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from orchestrator.config.data import ShardsConfig, SourceConfig
from orchestrator.shards.engines import EngineName
from orchestrator.shards.tokenize import TokeniseTask, UnitResult, tokenise_unit
from tests.corpus.writing import write_texts
from tests.support.byte_level import END, train, write_vocabulary
from tests.support.prepared import task_of, units_of

LONG = "the river don't 12  2024\n\n中文 "
TEXTS = [LONG * 40_000, "short", f"spells {END} out{END}", LONG * 3, *[f"{index} {LONG}" for index in range(500)]]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> dict[EngineName, TokeniseTask]:
    """The same unit for each engine: a document that is a batch of its own, and many that share one; some are held out."""
    folder = tmp_path_factory.mktemp("unit")
    vocabulary = write_vocabulary(folder / "model", train("digits"))
    source = SourceConfig(role="general", paths=(str(write_texts(folder / "a.jsonl.zst", TEXTS)),), heldout_share=0.2)
    found = {}
    for engine in ENGINES:
        shards = ShardsConfig(dir=str(folder / engine), document_separator=None, shard_bytes=1, packing="concatenate")
        (unit,) = units_of(source, shards)
        found[engine] = task_of(unit, vocabulary, engine)
    return found


@pytest.fixture(scope="module")
def results(tasks: dict[EngineName, TokeniseTask]) -> dict[EngineName, UnitResult]:
    return {engine: tokenise_unit(task) for engine, task in tasks.items()}


def test_the_shards_of_both_engines_are_the_same_to_the_byte(
    tasks: dict[EngineName, TokeniseTask], results: dict[EngineName, UnitResult]
) -> None:
    assert replace(results["tiktoken"], request="") == replace(results["tokenizers"], request="")
    for name in ("train_00000.bin", "heldout_00000.bin", "train_00000.documents.parquet", "heldout_00000.documents.parquet"):
        one, other = ((tasks[engine].unit.directory / name).read_bytes() for engine in ENGINES)
        assert one == other


@pytest.mark.parametrize("engine", ENGINES)
def test_a_document_that_spells_the_separator_is_one_document(
    tasks: dict[EngineName, TokeniseTask], results: dict[EngineName, UnitResult], engine: EngineName
) -> None:
    shards = [shard for shard in (results[engine].train, results[engine].heldout) if shard]
    tokens = np.concatenate([np.fromfile(tasks[engine].unit.directory / shard.file, dtype="<u2") for shard in shards])
    assert np.count_nonzero(tokens == tasks[engine].vocabulary.separator_id) == len(TEXTS) == sum(shard.documents for shard in shards)


def test_another_engine_is_other_work(tasks: dict[EngineName, TokeniseTask]) -> None:
    assert tasks["tiktoken"].request != replace(tasks["tiktoken"], engine="tokenizers").request == tasks["tokenizers"].request
