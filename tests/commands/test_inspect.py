"""`midtrain inspect`: what prepared shards hold, by the shards alone."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pyarrow import parquet

from orchestrator.commands.inspection import inspect
from orchestrator.errors import ShardError
from orchestrator.shards.manifest import read_manifest
from tests.commands.command_line import midtrain
from tests.support.prepared import write_prepared
from tests.support.tiny import END


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared sources, whose model and texts are gone."""
    folder = tmp_path_factory.mktemp("inspect")
    write_prepared(folder)
    (folder / "model").rename(folder / "gone")
    (folder / "code.jsonl").rename(folder / "gone.jsonl")
    return folder / "shards"


def test_each_source_and_split_has_its_statistics(shards: Path) -> None:
    entries = inspect(shards, num_documents=0)
    assert [(entry["name"], entry["split"]) for entry in entries] == [
        (name, split) for name in ("code", "docs", "spec") for split in ("train", "heldout")
    ]
    for entry in entries:
        manifest, lengths = read_manifest(shards / entry["name"], entry["name"]), entry["lengths"]
        assert (lengths["documents"], lengths["tokens"]) == (manifest.documents(entry["split"]), manifest.tokens(entry["split"]))
        assert sum(count for _, _, count in lengths["histogram"]) == lengths["documents"]
        assert lengths["histogram"][-1][0] <= lengths["longest"] < lengths["histogram"][-1][1]
        assert lengths["mean"] == pytest.approx(lengths["tokens"] / lengths["documents"])


def test_documents_are_decoded_to_what_they_were(shards: Path) -> None:
    texts = [json.loads(line)["text"] for line in (shards.parent / "gone.jsonl").read_text().splitlines()]
    (entry, _) = inspect(shards / "code", num_documents=7)
    assert len(entry["documents"]) == 7
    for document in entry["documents"]:
        line = int(document["origin"].rpartition(":")[2])
        assert document["text"] == texts[line - 1] + END


def test_more_documents_than_there_are_means_all(shards: Path) -> None:
    (_, heldout) = inspect(shards / "spec", num_documents=1000)
    listed = [row for file in (shards / "spec").glob("heldout_*.parquet") for row in parquet.read_table(file)["id"].to_pylist()]
    assert sorted(document["id"] for document in heldout["documents"]) == sorted(listed)


def test_a_folder_without_shards_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match=r"holds no manifest\.json.*Give shards\.dir or one of its sources"):
        inspect(tmp_path, num_documents=1)


def halved(data: bytes) -> bytes:
    return data[: len(data) // 2]


def changed(data: bytes) -> bytes:
    return data[:60] + bytes([data[60] ^ 0xFF]) + data[61:]


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("train_00000.bin", None),
        ("train_00000.bin", halved),
        ("train_00000.documents.parquet", None),
        ("train_00000.documents.parquet", halved),
        ("train_00000.documents.parquet", lambda data: b"x" * len(data)),
        ("train_00000.documents.parquet", changed),
    ],
    ids=["no tokens", "torn tokens", "no list", "torn list", "list of another kind", "a byte of the list changed"],
)
def test_damage_is_named_with_a_remedy(shards: Path, tmp_path: Path, name: str, damage: Callable[[bytes], bytes] | None) -> None:
    source = shutil.copytree(shards / "spec", tmp_path / "spec")
    data = (source / name).read_bytes()
    (source / name).unlink()
    if damage:
        (source / name).write_bytes(damage(data))
    with pytest.raises(ShardError, match=rf"{name} .*unit_00000\.json, and run `midtrain prepare` again"):
        inspect(source, num_documents=3)


def test_the_command_shows_bars_and_nothing_that_a_terminal_would_obey(shards: Path, tmp_path: Path) -> None:
    shown = midtrain("inspect", str(shards / "spec"), "--documents", "1", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "█" in shown.stdout
    assert "spec, train: documents by length in tokens" in shown.stdout
    assert "\x1b" not in shown.stdout
    assert len(json.loads(midtrain("inspect", str(shards), "--json", cwd=tmp_path).stdout)) == 6
