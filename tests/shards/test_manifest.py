"""A manifest comes back as it was written, or is refused by name."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xxhash

from orchestrator.config.schema import Config
from orchestrator.errors import ShardError
from orchestrator.shards.gathering import gather
from orchestrator.shards.manifest import Shard, read_manifest, write_manifest
from orchestrator.shards.reader import ShardReader
from tests.support.prepared import manifest_of, prepare_sources, write_prepared

SHARDS = [Shard(file=f"train_{index:05d}.bin", tokens=10 + index, documents=2, xxhash=f"{index:032x}") for index in range(3)]
MANIFEST = manifest_of(SHARDS[:2], SHARDS[2:])


def test_a_manifest_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_manifest(MANIFEST, tmp_path)
    assert read_manifest(tmp_path, "code") == MANIFEST
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_counts_are_sums_over_the_shards_of_a_split() -> None:
    assert [(MANIFEST.tokens(split), MANIFEST.documents(split)) for split in ("train", "heldout")] == [(21, 4), (12, 2)]


@pytest.mark.parametrize(
    "change",
    [
        {"tokenizer": "cd" * 16},
        {"dtype": "uint32"},
        {"train": SHARDS[:1]},
        {"train": SHARDS[1::-1]},
        {"heldout": []},
        {"heldout": [replace(SHARDS[2], xxhash="other")]},
    ],
    ids=["tokenizer", "dtype", "fewer", "order", "no held-out", "other bytes"],
)
def test_other_content_has_another_fingerprint(change: dict[str, object]) -> None:
    assert replace(MANIFEST, **change).fingerprint != MANIFEST.fingerprint  # type: ignore[arg-type]


def test_the_same_content_under_another_name_has_the_same_fingerprint() -> None:
    assert replace(MANIFEST, name="docs").fingerprint == MANIFEST.fingerprint


def test_a_source_that_was_never_prepared_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match=rf"'code' is not prepared: {tmp_path}/code/manifest\.json is missing.*midtrain prepare"):
        read_manifest(tmp_path / "code", "code")


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", "null", "5", '"x"', '{"fingerprint": 1}', "\x00"])
def test_a_manifest_that_is_damaged_is_refused_by_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(ShardError, match=re.escape(str(tmp_path / "manifest.json"))):
        read_manifest(tmp_path, "code")


def test_every_cut_of_a_manifest_is_refused_by_name(tmp_path: Path) -> None:
    write_manifest(MANIFEST, tmp_path)
    file = tmp_path / "manifest.json"
    whole = file.read_text()
    for length in range(0, len(whole) - 3, 7):
        file.write_text(whole[:length])
        with pytest.raises(ShardError, match=r"manifest\.json is damaged"):
            read_manifest(tmp_path, "code")


@pytest.mark.parametrize(
    "change", [{"tokenizer": "x"}, {"dtype": "uint32"}, {"train": []}, {"unknown": 1}], ids=lambda change: str(*change)
)
def test_a_manifest_that_was_changed_by_hand_is_refused_by_name(tmp_path: Path, change: dict[str, object]) -> None:
    write_manifest(MANIFEST, tmp_path)
    file = tmp_path / "manifest.json"
    signed = json.loads(file.read_text())
    file.write_text(json.dumps(signed | {"manifest": signed["manifest"] | change}))
    with pytest.raises(ShardError, match=r"manifest\.json"):
        read_manifest(tmp_path, "code")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return write_prepared(tmp_path)


@pytest.mark.parametrize("damaged", ["train_00000.bin", "heldout_00000.bin", "manifest.json"])
@pytest.mark.parametrize("kind", ["missing", "empty"])
def test_following_the_remedy_of_a_shard_error_ends_it(config: Config, damaged: str, kind: str) -> None:
    folder = Path(config.shards.dir) / "code"

    def read_everything() -> None:
        manifest = read_manifest(folder, "code")
        for split in ("train", "heldout"):
            gather(ShardReader(folder, manifest, split), np.array([0]), 8)

    read_everything()
    (folder / damaged).unlink()
    if kind == "empty":
        (folder / damaged).touch()
    with pytest.raises(ShardError) as caught:
        read_everything()
    remedy = str(caught.value)
    if "Delete it" in remedy:
        (folder / damaged).unlink()
    if "its unit marker" in remedy:
        (folder / "unit_00000.json").unlink()
    assert "prepare" in remedy
    prepare_sources(config)
    read_everything()


def test_the_hashes_of_a_shard_are_those_of_the_bytes_on_disk(config: Config) -> None:
    for directory in Path(config.shards.dir).iterdir():
        if directory.is_dir():
            manifest = read_manifest(directory, directory.name)
            for shard in (*manifest.train, *manifest.heldout):
                tokens, *beside = ((directory / file).read_bytes() for file in shard.files)
                assert shard.xxhash == xxhash.xxh3_128_hexdigest(tokens)
                assert shard.marks_xxhash == xxhash.xxh3_128_hexdigest(b"".join(beside))
