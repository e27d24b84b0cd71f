"""A checkpoint exists when its COMMIT exists, and COMMIT comes after everything else (law 2)."""

import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import xxhash
from safetensors.numpy import load_file

from orchestrator.checkpoints.commit import SaveFailed, save_checkpoint
from orchestrator.checkpoints.ranks import Ranks
from orchestrator.checkpoints.state_file import RankState, StateFile, state_path
from orchestrator.checkpoints.store import COMMIT, MANIFEST, committed_checkpoints, is_committed, step_directory
from orchestrator.errors import CheckpointError
from orchestrator.runs.durable import WrittenFile
from tests.checkpoints.ranks import Alone, on_ranks, save, state_of


def content(directory: Path) -> dict[str, bytes]:
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_save_that_returned_is_committed(tmp_path: Path) -> None:
    save(tmp_path, 7)
    assert set(content(step_directory(tmp_path, 7))) == {state_path(0), MANIFEST, COMMIT}
    assert [checkpoint.step for checkpoint in committed_checkpoints(tmp_path)] == [7]


def test_the_manifest_names_every_file_of_every_rank_with_its_hash_and_the_facts(tmp_path: Path) -> None:
    on_ranks(2, lambda ranks: save(tmp_path, 5, ranks=ranks, plan="abc"))
    (checkpoint,) = committed_checkpoints(tmp_path)
    files = checkpoint.manifest.pop("files")
    assert {"step": 5, "world_size": 2, "plan": "abc"}.items() <= checkpoint.manifest.items()
    assert [file["path"] for file in files] == [state_path(0), state_path(1)]
    for file in files:
        data = (checkpoint.directory / file["path"]).read_bytes()
        assert (file["size_bytes"], file["xxhash"]) == (len(data), xxhash.xxh3_128_hexdigest(data))


@pytest.mark.parametrize("world_size", [1, 2, 5])
def test_the_checksums_do_not_depend_on_how_the_ranks_share_the_state(tmp_path: Path, world_size: int) -> None:
    on_ranks(world_size, lambda ranks: save(tmp_path, 5, ranks=ranks))
    (checkpoint,) = committed_checkpoints(tmp_path)
    assert checkpoint.manifest["checksums"] == state_of().checksums()
    assert state_of(seed=1).checksums() != state_of().checksums()


def test_any_tool_reads_the_files(tmp_path: Path) -> None:
    save(tmp_path, 5)
    tensors = load_file(step_directory(tmp_path, 5) / state_path(0))
    rows = [np.concatenate([tensors[f"{kind}/{name}"] for name in ("embed.weight", "norm.weight")]) for kind in ("weight", "exp_avg")]
    assert np.array_equal(rows, state_of().values[:2])


def test_commit_holds_the_hash_of_the_manifest(tmp_path: Path) -> None:
    save(tmp_path, 7)
    directory = step_directory(tmp_path, 7)
    commit = json.loads((directory / COMMIT).read_text())
    assert commit == {"step": 7, "manifest": xxhash.xxh3_128_hexdigest((directory / MANIFEST).read_bytes())}


def test_nothing_is_committed_before_the_slowest_rank_has_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = step_directory(tmp_path, 5)
    fast_is_done = threading.Event()
    seen_by_slow: list[bool] = []
    write = StateFile.write

    def slowly(file: StateFile) -> WrittenFile:
        is_slow = (directory / state_path(1)).exists() and threading.current_thread().name == "slow"
        if is_slow:
            assert fast_is_done.wait(30)
        written = write(file)
        if is_slow:
            seen_by_slow.extend([is_committed(directory), (directory / MANIFEST).exists()])
        else:
            fast_is_done.set()
        return written

    monkeypatch.setattr(StateFile, "write", slowly)

    def rank(ranks: Ranks) -> None:
        threading.current_thread().name = "slow" if ranks.rank else "fast"
        save(tmp_path, 5, ranks=ranks)
        assert is_committed(directory), "no rank goes on before the commit"

    on_ranks(2, rank)
    assert seen_by_slow == [False, False]


@pytest.mark.parametrize("name", [MANIFEST, COMMIT])
def test_what_cannot_be_written_after_the_state_leaves_no_commit_and_is_no_end(tmp_path: Path, name: str) -> None:
    directory = step_directory(tmp_path, 5)

    class InTheWay(Alone):
        def gather(self, value: object) -> list[object]:
            if (directory / state_path(0)).exists():
                (directory / f".{name}.partial-{os.getpid()}").mkdir(exist_ok=True)
            return [value]

    with pytest.raises(SaveFailed, match=r"rank 0: .*Is a directory"):
        save(tmp_path, 5, ranks=InTheWay())
    assert not is_committed(directory)
    assert list(committed_checkpoints(tmp_path)) == []


class FullDisk:
    """Reserving or writing fails on one rank."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, method: str, failing: int) -> None:
        original = getattr(StateFile, method)

        def fail(file: StateFile) -> object:
            if file.rank == failing:
                raise OSError(28, "No space left on device")
            return original(file)

        monkeypatch.setattr(StateFile, method, fail)


@pytest.mark.parametrize("failing", [0, 1])
@pytest.mark.parametrize("method", ["reserve", "write"])
def test_one_rank_that_cannot_write_fails_the_save_on_all_and_gives_the_space_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, failing: int
) -> None:
    said = []

    def rank(ranks: Ranks) -> None:
        with pytest.raises(SaveFailed) as caught:
            save(tmp_path, 5, ranks=ranks)
        said.append(str(caught.value))

    with monkeypatch.context() as patched:
        FullDisk(patched, method, failing)
        on_ranks(2, rank)
    assert said == [f"rank {failing}: [Errno 28] No space left on device"] * 2
    assert content(step_directory(tmp_path, 5)) == {}
    on_ranks(2, lambda ranks: save(tmp_path, 5, ranks=ranks))
    assert is_committed(step_directory(tmp_path, 5))


@pytest.mark.parametrize("world_size", [1, 2])
def test_a_committed_step_is_never_overwritten(tmp_path: Path, world_size: int) -> None:
    save(tmp_path, 5)
    before = content(step_directory(tmp_path, 5))
    with pytest.raises(CheckpointError, match="step_00000005 is committed already"):
        on_ranks(world_size, lambda ranks: save(tmp_path, 5, ranks=ranks))
    assert content(step_directory(tmp_path, 5)) == before


def test_an_attempt_that_lost_the_run_commits_nothing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="another attempt has taken the run over"):
        save_checkpoint(tmp_path, 5, state_of(), facts={}, ranks=Alone(), may_commit=lambda: False)
    assert not is_committed(step_directory(tmp_path, 5))


def test_an_attempt_that_lost_the_run_touches_nothing_of_the_newer_ones_save(tmp_path: Path) -> None:
    left = step_directory(tmp_path, 5) / state_path(0)
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half of the newer attempt's")
    with pytest.raises(CheckpointError, match="another attempt has taken the run over"):
        save_checkpoint(tmp_path, 5, state_of(), facts={}, ranks=Alone(), may_commit=lambda: False)
    assert left.read_bytes() == b"half of the newer attempt's"


def test_a_state_of_nothing_is_saved_too(tmp_path: Path) -> None:
    save(tmp_path, 5, RankState([], np.empty((3, 0), dtype=np.float32)))
    assert load_file(step_directory(tmp_path, 5) / state_path(0)) == {}


def test_other_steps_are_left_alone(tmp_path: Path) -> None:
    save(tmp_path, 5)
    before = content(step_directory(tmp_path, 5))
    save(tmp_path, 10, state_of(seed=1))
    assert content(step_directory(tmp_path, 5)) == before
    assert [checkpoint.step for checkpoint in committed_checkpoints(tmp_path)] == [5, 10]
