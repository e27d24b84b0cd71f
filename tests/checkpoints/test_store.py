"""Which checkpoint a run goes on from, every byte of it verified, or why none can be trusted."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.checkpoints import store
from orchestrator.checkpoints.choosing import newest_verified
from orchestrator.checkpoints.ranks import Ranks
from orchestrator.checkpoints.state_file import state_path
from orchestrator.checkpoints.store import COMMIT, MANIFEST, DamagedError, committed_checkpoints, is_committed, step_directory
from orchestrator.errors import CheckpointError
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.durable import hash_file
from orchestrator.runs.events import append_event
from tests.checkpoints import ranks as saving
from tests.checkpoints.ranks import Alone, on_ranks


def save(folder: Path, step: int, ranks: Ranks | None = None) -> None:
    saving.save(folder / "checkpoints", step, ranks=ranks)


def step_of(folder: Path, step: int) -> Path:
    return step_directory(folder / "checkpoints", step)


def newest_step(folder: Path, said: list[str] | None = None) -> int | None:
    newest = newest_verified(RunDirectory(folder), Alone(), lambda why, _: (said if said is not None else []).append(why))
    return newest.step if newest else None


def test_a_run_that_never_began_to_save_has_none(tmp_path: Path) -> None:
    assert newest_step(tmp_path / "checkpoints") is None
    assert newest_step(tmp_path) is None


@settings(deadline=None, max_examples=20)
@given(steps=st.lists(st.integers(1, 10**8 - 1), min_size=1, max_size=4, unique=True))
def test_the_newest_is_the_one_of_the_highest_step_in_whatever_order_they_were_saved(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("checkpoints")
    for step in steps:
        save(folder, step)
    assert newest_step(folder) == max(steps)
    assert [checkpoint.step for checkpoint in committed_checkpoints(folder / "checkpoints")] == sorted(steps)


def test_a_newer_save_that_was_interrupted_does_not_count(tmp_path: Path) -> None:
    save(tmp_path, 5)
    save(tmp_path, 10)
    (step_of(tmp_path, 10) / COMMIT).unlink()
    assert newest_step(tmp_path) == 5


def test_a_first_save_that_was_interrupted_leaves_a_run_that_begins_anew(tmp_path: Path) -> None:
    save(tmp_path, 5)
    directory = step_of(tmp_path, 5)
    (directory / COMMIT).rename(directory / f".{COMMIT}.partial-1")
    assert newest_step(tmp_path) is None
    save(tmp_path, 5)
    assert newest_step(tmp_path) == 5


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def cut(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])


STATE = state_path(1)
DAMAGE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "the first byte flipped": (STATE, lambda path: flip(path, 0)),
    "a middle byte flipped": (STATE, lambda path: flip(path, 3000)),
    "the last byte flipped": (STATE, lambda path: flip(path, -1)),
    "a file short by a byte": (STATE, lambda path: cut(path, -1)),
    "a file emptied": (state_path(0), lambda path: cut(path, 0)),
    "a file grown": (STATE, lambda path: path.write_bytes(path.read_bytes() + b"x")),
    "a file missing": (state_path(0), lambda path: path.unlink()),
    "COMMIT emptied": (COMMIT, lambda path: cut(path, 0)),
    "COMMIT torn": (COMMIT, lambda path: cut(path, 20)),
    "COMMIT of another kind": (COMMIT, lambda path: path.write_text("[1]")),
    "COMMIT not UTF-8": (COMMIT, lambda path: path.write_bytes(b"\xff")),
    "the manifest missing": (MANIFEST, lambda path: path.unlink()),
    "the manifest torn": (MANIFEST, lambda path: cut(path, 30)),
    "the manifest changed": (MANIFEST, lambda path: path.write_text(path.read_text().replace('"step": 10', '"step": 11'))),
}


def saved(folder: Path, *steps: int) -> None:
    for step in steps:
        on_ranks(2, lambda ranks, step=step: save(folder, step, ranks=ranks))  # type: ignore[misc]


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_newest_checkpoint_is_set_aside_said_and_the_one_before_is_taken(tmp_path: Path, kind: str, world_size: int) -> None:
    saved(tmp_path, 5, 10)
    name, spoil = DAMAGE[kind]
    spoil(step_of(tmp_path, 10) / name)
    said: list[str] = []
    found: list[int | None] = []

    def rank(ranks: Ranks) -> None:
        newest = newest_verified(RunDirectory(tmp_path), ranks, lambda why, where: said.append(f"{why} {where.name}"))
        found.append(newest.step if newest else None)

    on_ranks(world_size, rank)
    assert found == [5] * world_size
    assert len(said) == 1
    assert name in said[0] or (name == MANIFEST and COMMIT in said[0])
    assert said[0].endswith("damaged_step_00000010")
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"step_00000005", "damaged_step_00000010"}


def test_when_every_checkpoint_is_damaged_it_is_an_error_and_never_a_fresh_start(tmp_path: Path) -> None:
    saved(tmp_path, 5, 10)
    for step in (5, 10):
        flip(step_of(tmp_path, step) / STATE, 200)
    for _ in range(2):  # and it stays one
        with pytest.raises(CheckpointError, match=r"no checkpoint in .* is whole, and there was one: .* set aside there as damaged_"):
            newest_step(tmp_path)


def test_a_run_that_lost_its_checkpoints_is_not_begun_anew(tmp_path: Path) -> None:
    append_event(RunDirectory(tmp_path), 1, "saved", step=1200)
    with pytest.raises(CheckpointError, match="there was one of step 1,200"):
        newest_step(tmp_path)


@pytest.mark.parametrize(("number", "is_damage"), [(errno.EIO, True), (errno.ESTALE, False), (errno.EMFILE, False)])
@pytest.mark.parametrize("what", ["state", COMMIT])
def test_a_disk_that_cannot_read_is_damage_and_one_that_can_later_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, is_damage: bool, what: str
) -> None:
    for step in (1, 2):
        save(tmp_path, step)
    read_bytes = Path.read_bytes

    def broken(path: Path) -> bytes:
        if what == COMMIT and path == step_of(tmp_path, 2) / COMMIT:
            raise OSError(number, os.strerror(number))
        return read_bytes(path)

    def broken_hash(path: Path) -> str:
        if what == "state" and step_of(tmp_path, 2) in path.parents:
            raise OSError(number, os.strerror(number))
        return hash_file(path)

    monkeypatch.setattr(Path, "read_bytes", broken)
    monkeypatch.setattr(store, "hash_file", broken_hash)
    if is_damage:
        assert newest_step(tmp_path) == 1
    else:
        with pytest.raises(OSError, match=os.strerror(number)):
            newest_step(tmp_path)
        assert is_committed(step_of(tmp_path, 2))


def test_two_checkpoints_of_one_step_that_were_damaged_are_both_kept(tmp_path: Path) -> None:
    saved(tmp_path, 5)
    for _ in range(2):
        saved(tmp_path, 10)
        flip(step_of(tmp_path, 10) / STATE, 200)
        assert newest_step(tmp_path) == 5
    assert {path.name for path in (tmp_path / "checkpoints").glob("damaged_*")} == {"damaged_step_00000010", "damaged_step_00000010.2"}


def test_a_checkpoint_under_the_name_of_another_step_is_set_aside(tmp_path: Path) -> None:
    save(tmp_path, 5)
    save(tmp_path, 7)
    step_of(tmp_path, 7).rename(step_of(tmp_path, 8))
    said: list[str] = []
    assert newest_step(tmp_path, said) == 5
    assert "step_00000008 is damaged: its COMMIT is that of step 7" in said[0]


def test_listing_reads_the_commits_and_manifests_alone_and_tells_which_is_damaged(tmp_path: Path) -> None:
    save(tmp_path, 5)
    save(tmp_path, 10)
    flip(step_of(tmp_path, 5) / state_path(0), 300)
    assert [checkpoint.step for checkpoint in committed_checkpoints(tmp_path / "checkpoints")] == [5, 10]
    cut(step_of(tmp_path, 5) / COMMIT, 3)
    with pytest.raises(DamagedError, match="step_00000005"):
        list(committed_checkpoints(tmp_path / "checkpoints"))
    assert is_committed(step_of(tmp_path, 5))


def test_a_login_node_can_ask_without_torch() -> None:
    program = "import sys, json, orchestrator.checkpoints.store; print(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {"torch", "deepspeed", "ray", "transformers", "numpy"} & set(json.loads(answer.stdout)) == set()
