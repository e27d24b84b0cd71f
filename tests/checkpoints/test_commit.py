"""A checkpoint exists when its COMMIT exists, and COMMIT comes after everything else (law 2)."""

import json
import os
import threading
from pathlib import Path

import pytest
import xxhash

from orchestrator.checkpoints.commit import Ranks, save_checkpoint
from orchestrator.checkpoints.store import COMMIT, MANIFEST, committed_checkpoints, is_committed, newest_checkpoint, step_directory
from orchestrator.errors import CheckpointError
from orchestrator.runs.durable import WrittenFile
from tests.checkpoints.ranks import Alone, on_ranks, save, writing

FILES = {"state/model.pt": b"weights", "state/optimiser.pt": b"moments"}


def content(directory: Path) -> dict[str, bytes]:
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_save_that_returned_is_committed_and_is_the_newest(tmp_path: Path) -> None:
    save(tmp_path, 7, FILES)
    directory = step_directory(tmp_path, 7)
    assert set(content(directory)) == {*FILES, MANIFEST, COMMIT}
    newest = newest_checkpoint(tmp_path)
    assert newest
    assert (newest.step, newest.directory, newest.stall_seconds >= 0) == (7, directory, True)


def test_the_manifest_names_every_file_of_every_rank_and_the_facts(tmp_path: Path) -> None:
    def rank(ranks: Ranks) -> None:
        files = {f"state/rank_{ranks.rank}.pt": bytes(ranks.rank + 1), f"state/{9 - ranks.rank}.pt": b"x"}
        save_checkpoint(tmp_path, 5, write=writing(files), facts={"world_size": 2, "plan": "abc"}, ranks=ranks)

    on_ranks(2, rank)
    (checkpoint,) = committed_checkpoints(tmp_path)
    files = checkpoint.manifest.pop("files")
    assert checkpoint.manifest == {"step": 5, "world_size": 2, "plan": "abc"}
    assert [file["path"] for file in files] == ["state/8.pt", "state/9.pt", "state/rank_0.pt", "state/rank_1.pt"]
    for file in files:
        data = (checkpoint.directory / file["path"]).read_bytes()
        assert (file["size_bytes"], file["xxhash"]) == (len(data), xxhash.xxh3_128_hexdigest(data))


def test_commit_holds_the_hash_of_the_manifest(tmp_path: Path) -> None:
    save(tmp_path, 7, FILES)
    directory = step_directory(tmp_path, 7)
    commit = json.loads((directory / COMMIT).read_text())
    assert (commit["step"], commit["manifest"]) == (7, xxhash.xxh3_128_hexdigest((directory / MANIFEST).read_bytes()))


def test_nothing_is_committed_before_the_slowest_rank_has_written(tmp_path: Path) -> None:
    directory = step_directory(tmp_path, 5)
    fast_is_done = threading.Event()
    seen_by_slow: list[bool] = []

    def write_fast(at: Path) -> list[WrittenFile]:
        written = writing({"fast.pt": b"fast"})(at)
        fast_is_done.set()
        return written

    def write_slow(at: Path) -> list[WrittenFile]:
        assert fast_is_done.wait(30)
        written = writing({"slow.pt": b"slow"})(at)
        seen_by_slow.extend([is_committed(directory), (directory / MANIFEST).exists()])
        return written

    def rank(ranks: Ranks) -> None:
        save_checkpoint(tmp_path, 5, write=write_slow if ranks.rank else write_fast, facts={}, ranks=ranks)
        assert is_committed(directory), "no rank goes on before the commit"

    on_ranks(2, rank)
    assert seen_by_slow == [False, False]
    assert set(content(directory)) == {"fast.pt", "slow.pt", MANIFEST, COMMIT}


def in_the_way_of(name: str, at: Path) -> list[WrittenFile]:
    """Write the files, and make it impossible to write the named one after them."""
    (at / f".{name}.partial-{os.getpid()}").mkdir()
    return writing(FILES)(at)


def test_a_manifest_that_cannot_be_written_leaves_no_commit(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        save_checkpoint(tmp_path, 5, write=lambda at: in_the_way_of(MANIFEST, at), facts={}, ranks=Alone())
    assert set(content(step_directory(tmp_path, 5))) == set(FILES)


def test_the_manifest_is_whole_before_commit_is_begun(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        save_checkpoint(tmp_path, 5, write=lambda at: in_the_way_of(COMMIT, at), facts={}, ranks=Alone())
    directory = step_directory(tmp_path, 5)
    assert set(content(directory)) == {*FILES, MANIFEST}
    assert [file["path"] for file in json.loads((directory / MANIFEST).read_text())["files"]] == sorted(FILES)


def fail_half_way(at: Path) -> list[WrittenFile]:
    writing({"state/left_over.pt": b"half"})(at)
    raise OSError(28, "No space left on device")


def test_an_interrupted_save_leaves_no_commit_and_the_next_save_of_the_step_succeeds(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(tmp_path, 5, write=fail_half_way, facts={}, ranks=Alone())
    directory = step_directory(tmp_path, 5)
    assert not is_committed(directory)
    assert list(committed_checkpoints(tmp_path)) == []
    save(tmp_path, 5, FILES)
    assert set(content(directory)) == {*FILES, MANIFEST, COMMIT}
    newest = newest_checkpoint(tmp_path)
    assert newest
    assert newest.step == 5


@pytest.mark.parametrize("failing", [0, 1])
def test_one_rank_that_fails_leaves_no_commit(tmp_path: Path, failing: int) -> None:
    def rank(ranks: Ranks) -> None:
        write = fail_half_way if ranks.rank == failing else writing({f"{ranks.rank}.pt": b"whole"})
        save_checkpoint(tmp_path, 5, write=write, facts={}, ranks=ranks)

    with pytest.raises(OSError, match="No space left"):
        on_ranks(2, rank)
    assert not is_committed(step_directory(tmp_path, 5))


@pytest.mark.parametrize("world_size", [1, 2])
def test_a_committed_step_is_never_overwritten(tmp_path: Path, world_size: int) -> None:
    save(tmp_path, 5, FILES)
    before = content(step_directory(tmp_path, 5))

    def rank(ranks: Ranks) -> None:
        save_checkpoint(tmp_path, 5, write=writing({"state/model.pt": b"other"}), facts={}, ranks=ranks)

    with pytest.raises(CheckpointError, match="step_00000005 is committed already"):
        on_ranks(world_size, rank)
    assert content(step_directory(tmp_path, 5)) == before


def test_other_steps_are_left_alone(tmp_path: Path) -> None:
    save(tmp_path, 5, FILES)
    before = content(step_directory(tmp_path, 5))
    save(tmp_path, 10, {"state/model.pt": b"later"})
    assert content(step_directory(tmp_path, 5)) == before
    assert [checkpoint.step for checkpoint in committed_checkpoints(tmp_path)] == [5, 10]
