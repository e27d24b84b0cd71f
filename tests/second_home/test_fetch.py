"""A machine that has nothing gets the newest checkpoint whose every byte is as it was committed, or is told that there is none."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec
import pytest
import xxhash

from orchestrator.checkpoints.store import COMMIT, MANIFEST, Checkpoint, DamagedError, committed_directories, verify
from orchestrator.errors import CheckpointError, ConfigError
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines
from orchestrator.second_home.fetch import fetch_newest, newest_run_files
from orchestrator.second_home.home import SecondHome
from orchestrator.second_home.run_files import RUN_FILES, pack, place_files, unpack
from orchestrator.second_home.upload import upload
from tests.second_home.made_up import Noting, commit, content, save

STATE = "state/rank_00002.safetensors"


def bring(run: RunDirectory, url: str, *steps: int) -> list[Checkpoint]:
    """Checkpoints, here and at the second home."""
    made = [save(run, step) for step in steps]
    for checkpoint in made:
        upload(Noting(url), checkpoint, there={}, run_files=lambda: pack(run))
    return made


@contextmanager
def unshown(name: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
    yield lambda _: None


def fetch(url: str, target: RunDirectory, said: list[str] | None = None, *, after_step: int = 0) -> Checkpoint | None:
    say = (said if said is not None else []).append
    return fetch_newest(lambda: SecondHome(url, answer_seconds=30), target, say, unshown, after_step=after_step)


@pytest.fixture
def target(run: RunDirectory, tmp_path: Path) -> RunDirectory:
    """The same run on another machine, where there is nothing but what it is called."""
    other = RunDirectory(tmp_path / "elsewhere")
    other.root.mkdir()
    other.wandb_id.write_bytes(run.wandb_id.read_bytes())
    return other


def test_what_is_fetched_is_what_was_saved(run: RunDirectory, target: RunDirectory, url: str) -> None:
    _, newest = bring(run, url, 100, 200)
    fetched = fetch(url, target)
    assert fetched
    assert content(fetched.directory) == content(newest.directory)
    verify(fetched)
    assert committed_directories(target.checkpoints) == [fetched.directory]
    step, files = newest_run_files(lambda: SecondHome(url, answer_seconds=30), pytest.fail)
    place_files(files, target.root)
    assert (step, target.config.read_bytes()) == (200, run.config.read_bytes())
    assert [line["step"] for line in read_lines(target.metrics)] == [0, 1]


def test_only_what_is_newer_is_fetched(run: RunDirectory, target: RunDirectory, place: str) -> None:
    bring(run, place, 100, 200)
    assert fetch(place, target, after_step=200) is None
    assert not target.checkpoints.exists()


def flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


DAMAGE: dict[str, tuple[str, Callable[[bytes], bytes | None]]] = {
    "a byte flipped": (STATE, flip),
    "a file short by a byte": (STATE, lambda data: data[:-1]),
    "a file emptied": (STATE, lambda _: b""),
    "a file missing": (STATE, lambda _: None),
    "COMMIT torn": (COMMIT, lambda data: data[:20]),
    "the manifest changed": (MANIFEST, lambda data: data.replace(b'"step": 200', b'"step": 201')),
    "the manifest missing": (MANIFEST, lambda _: None),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_one_is_told_and_the_one_before_is_taken(
    run: RunDirectory, target: RunDirectory, request: pytest.FixtureRequest, kind: str
) -> None:
    url = str(request.getfixturevalue("bucket" if kind in ("a byte flipped", "a file emptied") else "place"))
    before, _ = bring(run, url, 100, 200)
    spoil(f"{url}/step_00000200", *DAMAGE[kind])
    said: list[str] = []
    fetched = fetch(url, target, said)
    assert fetched and fetched.step == 100
    assert content(fetched.directory) == content(before.directory)
    assert len(said) == 1
    assert f"at {url}: step_00000200" in said[0]
    assert [path.name for path in target.checkpoints.iterdir()] == ["step_00000100"]


def spoil(checkpoint: str, file: str, how: Callable[[bytes], bytes | None]) -> None:
    """Change a file where it lies."""
    store, path = fsspec.url_to_fs(f"{checkpoint}/{file}", skip_instance_cache=True)
    changed = how(store.cat_file(path))
    store.rm_file(path)
    if changed is not None:
        store.pipe_file(path, changed)


SPOILT: dict[str, Callable[[bytes], bytes | None]] = {
    "cut": lambda data: data[: len(data) // 2],
    "emptied": lambda _: b"",
    "missing": lambda _: None,
}


@pytest.mark.parametrize("kind", SPOILT)
def test_damaged_files_of_the_run_are_told_and_those_before_are_taken(run: RunDirectory, place: str, kind: str) -> None:
    bring(run, place, 100, 200)
    spoil(f"{place}/step_00000200", RUN_FILES, SPOILT[kind])
    said: list[str] = []
    step, _ = newest_run_files(lambda: SecondHome(place, answer_seconds=30), said.append)
    assert (step, len(said)) == (100, 1)


def test_whichever_byte_of_the_runs_files_is_changed_it_is_noticed(run: RunDirectory) -> None:
    packed = pack(run)
    for at in range(len(packed)):
        with pytest.raises(DamagedError, match="there is damaged"):
            unpack(packed[:at] + bytes([packed[at] ^ 1]) + packed[at + 1 :], "there")


def test_where_there_is_none_it_is_said(target: RunDirectory, url: str) -> None:
    assert fetch(url, target) is None
    with pytest.raises(CheckpointError, match="has no checkpoint that is whole"):
        newest_run_files(lambda: SecondHome(url, answer_seconds=30), pytest.fail)


def test_a_fetch_that_is_broken_off_leaves_no_commit_and_goes_on_with_what_has_come(
    run: RunDirectory, target: RunDirectory, place: str
) -> None:
    (checkpoint,) = bring(run, place, 100)

    @contextmanager
    def broken_off(name: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
        assert total_bytes == 73_000
        yield lambda count: pytest.fail("killed") if count == 70_000 else None

    with pytest.raises(pytest.fail.Exception):
        fetch_newest(lambda: SecondHome(place, answer_seconds=30), target, pytest.fail, broken_off)
    assert committed_directories(target.checkpoints) == []
    inode = (target.checkpoints / "step_00000100" / "state" / "rank_00000.safetensors").stat().st_ino
    fetched = fetch(place, target)
    assert fetched
    assert content(fetched.directory) == content(checkpoint.directory)
    assert (fetched.directory / "state" / "rank_00000.safetensors").stat().st_ino == inode


def test_one_that_is_damaged_here_is_set_aside_for_the_one_from_there(run: RunDirectory, place: str) -> None:
    (checkpoint,) = bring(run, place, 100)
    whole = content(checkpoint.directory)
    (checkpoint.directory / COMMIT).write_text("torn")
    fetched = fetch(place, run)
    assert fetched
    assert content(fetched.directory) == whole
    assert {path.name for path in run.checkpoints.iterdir()} == {"step_00000100", "damaged_step_00000100"}


def test_the_checkpoints_of_another_run_are_not_taken(run: RunDirectory, target: RunDirectory, place: str) -> None:
    bring(run, place, 100)
    target.wandb_id.write_text("another\n")
    with pytest.raises(ConfigError, match="is of another run"):
        fetch(place, target)


def test_nothing_is_written_outside_the_directory(run: RunDirectory, target: RunDirectory, place: str) -> None:
    (checkpoint,) = bring(run, place, 100)
    there = Path(place.removeprefix("file://")) / "step_00000100"
    files = [{"path": "../../../outside", "size_bytes": 3, "xxhash": "0"}]
    commit(there, checkpoint.manifest | {"files": files})
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../outside", json.dumps({}))
    (there / RUN_FILES).write_bytes(xxhash.xxh3_128_hexdigest(packed.getvalue()).encode() + b"\n" + packed.getvalue())
    said: list[str] = []
    assert fetch(place, target, said) is None
    with pytest.raises(CheckpointError):
        newest_run_files(lambda: SecondHome(place, answer_seconds=30), said.append)
    assert ["which is outside" in line for line in said] == [True, True]
