"""What a unit leaves stays after a power cut, and what did not stay is noticed."""

import os
from pathlib import Path

import pytest

from orchestrator.config.data import ShardsConfig, SourceConfig
from orchestrator.shards.tokenize import TokeniseTask, tokenise_unit
from orchestrator.shards.vocabulary import load_vocabulary
from tests.corpus.writing import write_texts
from tests.support.prepared import task_of, units_of
from tests.support.tiny import write_model

KINDS = ("bin", "starts.bin", "documents.parquet")
FILES = {*(f"{split}_00000.{kind}" for split in ("train", "heldout") for kind in KINDS), "unit_00000.rejects.jsonl"}


@pytest.fixture
def task(tmp_path: Path) -> TokeniseTask:
    """A unit with documents of both splits, and a reject."""
    file = write_texts(tmp_path / "a.jsonl", [*(f"the river asks {number} times" for number in range(40)), 5])
    shards = ShardsConfig(dir=str(tmp_path / "shards"), document_separator=None, shard_bytes=1, packing="concatenate")
    (unit,) = units_of(SourceConfig(role="general", paths=(str(file),), heldout_share=0.3), shards)
    return task_of(unit, load_vocabulary(str(write_model(tmp_path / "model")), None))


def test_every_file_of_a_unit_is_put_on_disk(task: TokeniseTask, monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk, fsync = set(), os.fsync

    def noting(descriptor: int) -> None:
        fsync(descriptor)
        on_disk.add(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", noting)
    tokenise_unit(task)
    files = {path.name: path.stat().st_ino for path in task.unit.directory.iterdir()}
    assert set(files) == FILES | {"unit_00000.json"}
    assert [name for name, inode in files.items() if inode not in on_disk] == []


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_unit_that_lost_a_file_or_the_end_of_one_is_not_complete(task: TokeniseTask, name: str) -> None:
    result, path = tokenise_unit(task), task.unit.directory / name
    whole = path.read_bytes()
    for left in (whole[:-1], b"", None):
        assert task.completed() == result
        path.unlink() if left is None else path.write_bytes(left)
        assert task.completed() is None
        path.write_bytes(whole)
