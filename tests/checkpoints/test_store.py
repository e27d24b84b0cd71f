"""Which checkpoint a run goes on from, every byte of it verified, or why none can be trusted."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.checkpoints.store import COMMIT, MANIFEST, committed_checkpoints, newest_checkpoint, step_directory
from orchestrator.errors import CheckpointError
from tests.checkpoints.ranks import save

FILES = {"state/model.pt": bytes(range(256)) * 40, "state/zero_0.pt": b"moments", "empty.pt": b""}


def newest_step(checkpoints: Path) -> int | None:
    newest = newest_checkpoint(checkpoints)
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
        save(folder, step, {"model.pt": b"x"})
    assert newest_step(folder) == max(steps)
    assert [checkpoint.step for checkpoint in committed_checkpoints(folder)] == sorted(steps)


def test_a_newer_save_that_was_interrupted_does_not_count(tmp_path: Path) -> None:
    save(tmp_path, 5, FILES)
    save(tmp_path, 10, FILES)
    (step_directory(tmp_path, 10) / COMMIT).unlink()
    assert newest_step(tmp_path) == 5
    assert [checkpoint.step for checkpoint in committed_checkpoints(tmp_path)] == [5]


def test_a_commit_under_its_other_name_is_none(tmp_path: Path) -> None:
    save(tmp_path, 5, FILES)
    directory = step_directory(tmp_path, 5)
    (directory / COMMIT).rename(directory / f"{COMMIT}.partial")
    with pytest.raises(CheckpointError, match="has no COMMIT"):
        newest_checkpoint(tmp_path)


def test_only_interrupted_saves_are_an_error_and_its_remedy_works(tmp_path: Path) -> None:
    for step in (5, 10):
        step_directory(tmp_path, step).mkdir(parents=True)
    for step in (10, 5):
        directory = step_directory(tmp_path, step)
        with pytest.raises(CheckpointError, match=rf"rm -r {directory}"):
            newest_checkpoint(tmp_path)
        directory.rmdir()
    assert newest_step(tmp_path) is None


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def cut(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])


DAMAGE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "the first byte flipped": ("state/model.pt", lambda path: flip(path, 0)),
    "a middle byte flipped": ("state/model.pt", lambda path: flip(path, 5000)),
    "the last byte flipped": ("state/zero_0.pt", lambda path: flip(path, -1)),
    "a file short by a byte": ("state/zero_0.pt", lambda path: cut(path, -1)),
    "a file emptied": ("state/model.pt", lambda path: cut(path, 0)),
    "a file grown": ("empty.pt", lambda path: path.write_bytes(b"x")),
    "a file missing": ("state/zero_0.pt", lambda path: path.unlink()),
    "an empty file missing": ("empty.pt", lambda path: path.unlink()),
    "COMMIT emptied": (COMMIT, lambda path: cut(path, 0)),
    "COMMIT torn": (COMMIT, lambda path: cut(path, 20)),
    "COMMIT of another kind": (COMMIT, lambda path: path.write_text("[1]")),
    "COMMIT not UTF-8": (COMMIT, lambda path: path.write_bytes(b"\xff")),
    "the manifest missing": (MANIFEST, lambda path: path.unlink()),
    "the manifest torn": (MANIFEST, lambda path: cut(path, 30)),
    "the manifest changed": (MANIFEST, lambda path: path.write_text(path.read_text().replace('"step": 10', '"step": 11'))),
}


def refusal_of_a_damaged_newest(folder: Path, kind: str) -> str:
    """What looking for the newest says when the one of step 10 is damaged and the one of step 5 is whole."""
    save(folder, 5, FILES)
    save(folder, 10, FILES)
    name, spoil = DAMAGE[kind]
    spoil(step_directory(folder, 10) / name)
    with pytest.raises(CheckpointError) as caught:
        newest_checkpoint(folder)
    return str(caught.value)


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_newest_checkpoint_is_refused_by_file_and_never_passed_over_in_silence(tmp_path: Path, kind: str) -> None:
    refusal = refusal_of_a_damaged_newest(tmp_path, kind)
    assert str(step_directory(tmp_path, 10)) in refusal
    assert DAMAGE[kind][0] in refusal


@pytest.mark.parametrize("kind", DAMAGE)
def test_following_the_remedy_of_a_damaged_checkpoint_resumes_from_the_one_before(tmp_path: Path, kind: str) -> None:
    remedy = refusal_of_a_damaged_newest(tmp_path, kind).partition(": rm ")[2]
    Path(remedy).unlink()
    assert newest_step(tmp_path) == 5


def test_a_checkpoint_under_the_name_of_another_step_is_refused(tmp_path: Path) -> None:
    save(tmp_path, 5, FILES)
    step_directory(tmp_path, 5).rename(step_directory(tmp_path, 6))
    with pytest.raises(CheckpointError, match="step_00000006 is damaged: its COMMIT is that of step 5"):
        newest_checkpoint(tmp_path)


def test_listing_reads_the_commits_and_manifests_alone_and_tells_which_is_damaged(tmp_path: Path) -> None:
    save(tmp_path, 5, FILES)
    save(tmp_path, 10, FILES)
    flip(step_directory(tmp_path, 5) / "state/model.pt", 0)
    assert [checkpoint.step for checkpoint in committed_checkpoints(tmp_path)] == [5, 10]
    cut(step_directory(tmp_path, 5) / COMMIT, 3)
    with pytest.raises(CheckpointError, match="step_00000005"):
        list(committed_checkpoints(tmp_path))


def test_a_login_node_can_ask_without_torch() -> None:
    program = "import sys, json, orchestrator.checkpoints.store; print(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {"torch", "deepspeed", "ray", "transformers", "numpy"} & set(json.loads(answer.stdout)) == set()
