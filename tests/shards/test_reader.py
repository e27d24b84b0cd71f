"""Sequences out of shards are slices of their concatenation, and shards that are not what the manifest says are refused by name."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import ShardError
from orchestrator.shards.gathering import Gatherer, gather
from orchestrator.shards.manifest import Manifest, Shard
from orchestrator.shards.mapped import MOST_MAPS, map_file
from orchestrator.shards.reader import ShardReader
from tests.shards.written import Written, write_source
from tests.support.prepared import manifest_of


def write_shards(folder: Path, shards: list[list[int]], dtype: str) -> Manifest:
    """Shards of one document each."""
    return write_source(folder, [Written([tokens]) for tokens in shards], dtype)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shards")


@settings(max_examples=150, deadline=None)
@given(
    shards=st.lists(st.lists(st.integers(0, 2**16 - 1), min_size=1, max_size=9), min_size=1, max_size=8),
    sequence_length=st.integers(1, 12),
    dtype=st.sampled_from(["uint16", "uint32"]),
    data=st.data(),
)
def test_gathering_equals_slicing_the_concatenation(
    folder: Path, shards: list[list[int]], sequence_length: int, dtype: str, data: st.DataObject
) -> None:
    manifest = write_shards(folder, shards, dtype)
    whole = [token for shard in shards for token in shard]
    unique = manifest.unique_sequences("train", sequence_length)
    positions = data.draw(st.lists(st.integers(0, unique - 1)) if unique else st.just([]))
    gathered = gather(ShardReader(folder, manifest, "train"), np.array(positions, dtype=np.int64), sequence_length)
    assert gathered.shape == (len(positions), sequence_length + 1)
    assert gathered.dtype == np.dtype(dtype)
    assert gathered.tolist() == [whole[at * sequence_length : (at + 1) * sequence_length + 1] for at in positions]


@settings(max_examples=60, deadline=None)
@given(
    sources=st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1, max_size=4),
    sequence_length=st.integers(1, 6),
    data=st.data(),
)
def test_sequences_of_several_sources_are_those_of_each_in_the_order_asked_for(
    tmp_path_factory: pytest.TempPathFactory, sources: list[list[int]], sequence_length: int, data: st.DataObject
) -> None:
    readers = []
    for index, lengths in enumerate(sources):
        folder = tmp_path_factory.mktemp("source")
        shards = [[1000 * index + 100 * shard + token for token in range(length)] for shard, length in enumerate(lengths)]
        readers.append(ShardReader(folder, write_shards(folder, shards, "uint16"), "train"))
    there_are = [
        (index, position)
        for index, reader in enumerate(readers)
        for position in range(max(0, sum(sources[index]) - 1) // sequence_length)
        if reader.num_shards
    ]
    asked = data.draw(st.lists(st.sampled_from(there_are), max_size=20)) if there_are else []
    which, at = (np.array([each[part] for each in asked], dtype=np.int64) for part in (0, 1))
    gatherer = Gatherer(readers)
    for _ in range(2):  # the second time from open shards
        gathered = gatherer.gather(which, at, sequence_length)
        assert gathered.shape == (len(asked), sequence_length + 1)
        assert gathered.tolist() == [gather(readers[i], np.array([p]), sequence_length)[0].tolist() for i, p in asked]


def test_after_a_shard_that_could_not_be_opened_all_others_are_read_as_before(tmp_path: Path) -> None:
    manifest = write_shards(tmp_path, [[shard] * 9 for shard in range(1, 5)], "uint16")
    (tmp_path / "train_00003.bin").rename(tmp_path / "hidden")
    gatherer = Gatherer([ShardReader(tmp_path, manifest, "train")])

    def first_tokens(*positions: int) -> list[int]:
        tokens: list[int] = gatherer.gather(np.zeros(len(positions), dtype=np.int64), np.array(positions), 2)[:, 0].tolist()
        return tokens

    for asked in ([8, 13], [4, 9, 13], [13]):  # in shards 1 and 3, 0 to 3, 3
        with pytest.raises(ShardError, match=r"train_00003\.bin"):
            first_tokens(*asked)
        assert first_tokens(9) == [3]
        assert first_tokens(0, 5, 10) == [1, 2, 3]
    (tmp_path / "hidden").rename(tmp_path / "train_00003.bin")
    assert first_tokens(14, 0) == [4, 1]


def num_open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("sequence_length", [1, 3])
def test_many_more_shards_are_read_than_may_be_open_at_once(tmp_path: Path, sequence_length: int) -> None:
    """Of sequences that lie in one shard, and of those that lie in two."""
    num_shards = MOST_MAPS + 200
    manifest = write_shards(tmp_path, [[shard, shard] for shard in range(num_shards)], "uint16")
    map_file.cache_clear()
    before = num_open_files()
    gatherer = Gatherer([ShardReader(tmp_path, manifest, "train")])
    positions = np.random.default_rng(1).permutation((2 * num_shards - 1) // sequence_length)
    gathered = gatherer.gather(np.zeros_like(positions), positions, sequence_length)
    assert gathered[:, 0].tolist() == (positions * sequence_length // 2).tolist()
    assert 100 < num_open_files() - before <= 2 * MOST_MAPS
    map_file.cache_clear()


@settings(deadline=None)
@given(tokens=st.integers(0, 200), sequence_length=st.integers(1, 50))
def test_a_whole_sequence_has_all_its_labels(tokens: int, sequence_length: int) -> None:
    shards = [Shard(file="a", tokens=tokens, documents=1, xxhash="x")] if tokens else []
    unique = manifest_of(shards).unique_sequences("train", sequence_length)
    assert unique == len([at for at in range(200) if (at + 1) * sequence_length + 1 <= tokens])


def test_a_split_without_documents_has_no_sequences(folder: Path) -> None:
    manifest = write_shards(folder, [[1, 2, 3]], "uint16")
    assert manifest.unique_sequences("heldout", 1) == 0
    assert gather(ShardReader(folder, manifest, "heldout"), np.array([], dtype=np.int64), 4).shape == (0, 5)


def test_numbers_on_disk_are_little_endian(tmp_path: Path) -> None:
    manifest = write_shards(tmp_path, [[1, 2]], "uint16")
    (tmp_path / "train_00000.bin").write_bytes(b"\x01\x02\x03\x04")
    assert gather(ShardReader(tmp_path, manifest, "train"), np.array([0]), 1).tolist() == [[0x0201, 0x0403]]


def damage(path: Path, kind: str) -> None:
    whole = path.read_bytes()
    path.unlink()
    if kind == "a folder":
        path.mkdir()
    elif kind != "missing":
        path.write_bytes(
            {"empty": b"", "short by a token": whole[:-2], "short by a byte": whole[:-1], "long by a token": whole + b"ab"}[kind]
        )


@pytest.mark.parametrize("kind", ["missing", "empty", "short by a token", "short by a byte", "long by a token", "a folder"])
def test_a_damaged_shard_is_refused_by_name_with_a_remedy_when_it_is_first_touched(tmp_path: Path, kind: str) -> None:
    manifest = write_shards(tmp_path, [[1, 2, 3], [4, 5, 6], [7]], "uint16")
    damage(tmp_path / "train_00001.bin", kind)
    reader = ShardReader(tmp_path, manifest, "train")
    assert gather(reader, np.array([0]), 2).tolist() == [[1, 2, 3]]
    with pytest.raises(ShardError, match=r"train_00001\.bin.*unit_00001\.json.*repare"):
        gather(reader, np.array([0, 1]), 2)


def test_a_shard_is_read_with_the_width_that_the_manifest_says(tmp_path: Path) -> None:
    manifest = write_shards(tmp_path, [[1, 2, 3, 4]], "uint16")
    with pytest.raises(ShardError, match=r"train_00000\.bin has 8 bytes, its manifest says 16"):
        gather(ShardReader(tmp_path, replace(manifest, dtype="uint32"), "train"), np.array([0]), 1)
