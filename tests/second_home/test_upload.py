"""A checkpoint goes to its second home whole, verified, its COMMIT last, or it is not there."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from orchestrator.checkpoints.retention import INSURANCE, SCIENCE, delete
from orchestrator.checkpoints.store import COMMIT, MANIFEST, Checkpoint, DamagedError
from orchestrator.errors import InfrastructureError
from orchestrator.runs.directory import RunDirectory
from orchestrator.second_home.catalogue import committed_names, open_all
from orchestrator.second_home.home import SecondHome
from orchestrator.second_home.run_files import RUN_FILES, pack, unpack
from orchestrator.second_home.upload import GoneError, thin_out, upload
from tests.second_home.made_up import Noting, content, copied, save


def bring(run: RunDirectory, checkpoint: Checkpoint, home: SecondHome) -> int:
    return upload(home, checkpoint, there=home.files(), run_files=lambda: pack(run))


def test_every_byte_arrives_and_commit_is_the_last_that_does(run: RunDirectory, url: str) -> None:
    checkpoint, home = save(run, 200), Noting(url)
    assert bring(run, checkpoint, home) == 73_000
    arrived = copied(url, "step_00000200")
    assert {path: data for path, data in arrived.items() if path != RUN_FILES} == content(checkpoint.directory)
    assert home.done[-3:] == [f"step_00000200/{file}" for file in (RUN_FILES, MANIFEST, COMMIT)]


def test_with_it_go_the_runs_files_of_lines_the_whole_lines(run: RunDirectory, place: str) -> None:
    bring(run, save(run, 200), Noting(place))
    files = unpack(copied(place, "step_00000200")[RUN_FILES], "there")
    assert files["config.yaml"] == run.config.read_bytes()
    assert files["amendments/1/plan.json"] == (run.amendments / "1" / "plan.json").read_bytes()
    assert files["metrics.jsonl"] == b'{"step": 0}\n{"step": 1, "loss": 2.5}\n'
    assert set(files) >= {"plan.json", "attempts.jsonl", "events.jsonl", "wandb_id"}


def test_files_larger_than_a_block_arrive(run: RunDirectory, url: str) -> None:
    checkpoint = save(run, 200, sizes=[(17 << 20) + 5])
    bring(run, checkpoint, Noting(url))
    assert copied(url, "step_00000200").items() >= content(checkpoint.directory).items()


class Breaking(Noting):
    """Takes so many files and no more."""

    def __init__(self, url: str, takes: int) -> None:
        super().__init__(url)
        self._takes = takes

    def write(self, path: str, blocks: Iterable[bytes], size_bytes: int) -> None:
        if len(self.done) >= self._takes:
            raise InfrastructureError("the line went dead")
        super().write(path, blocks, size_bytes)


def test_wherever_it_breaks_off_there_is_no_commit_and_the_next_time_goes_on(run: RunDirectory, place: str) -> None:
    checkpoint = save(run, 200)
    for takes in range(6):
        broken = Breaking(f"{place}/{takes}", takes)
        with pytest.raises(InfrastructureError, match="the line went dead"):
            bring(run, checkpoint, broken)
        again = Noting(broken.url)
        assert committed_names(again.files()) == []
        bring(run, checkpoint, again)
        assert not {path for path in broken.done if "/state/" in path} & set(again.done)
        assert copied(again.url, "step_00000200").items() >= content(checkpoint.directory).items()


class Changing(Noting):
    """Flips a bit of a file on the way."""

    def __init__(self, url: str, file: str) -> None:
        super().__init__(url)
        self._file = file

    def write(self, path: str, blocks: Iterable[bytes], size_bytes: int) -> None:
        flipped = (bytes([block[0] ^ 1]) + block[1:] for block in blocks)
        super().write(path, flipped if path.endswith(self._file) else blocks, size_bytes)


@pytest.mark.parametrize("file", ["rank_00002.safetensors", RUN_FILES, MANIFEST])
def test_bytes_that_change_on_the_way_are_noticed_and_nothing_is_committed(run: RunDirectory, place: str, file: str) -> None:
    home = Changing(place, file)
    with pytest.raises(InfrastructureError, match=rf"{file}: what it reads back is not what was written"):
        bring(run, save(run, 200), home)
    assert committed_names(Noting(place).files()) == []


def test_what_is_damaged_here_is_told_and_not_committed_there(run: RunDirectory, place: str) -> None:
    checkpoint, home = save(run, 200), Noting(place)
    (checkpoint.directory / "state" / "rank_00000.safetensors").write_bytes(bytes(3000))
    with pytest.raises(DamagedError, match=r"rank_00000\.safetensors is damaged"):
        bring(run, checkpoint, home)
    assert committed_names(Noting(place).files()) == []


def test_a_checkpoint_that_is_deleted_here_meanwhile_is_left_out(run: RunDirectory, place: str) -> None:
    checkpoint, home = save(run, 200), Noting(place)
    delete(checkpoint.directory)
    with pytest.raises(GoneError):
        bring(run, checkpoint, home)
    assert committed_names(Noting(place).files()) == []


def test_another_checkpoint_of_the_step_loses_its_commit_before_it_is_replaced(run: RunDirectory, url: str) -> None:
    bring(run, save(run, 200), Noting(url))
    delete(run.checkpoints / "step_00000200")
    newer, home = save(run, 200, seed=1), Noting(url)
    bring(run, newer, home)
    assert home.done[0] == f"-step_00000200/{COMMIT}"
    assert copied(url, "step_00000200").items() >= content(newer.directory).items()


def test_there_as_here_only_the_newest_insurance_saves_are_kept_and_commit_goes_first(run: RunDirectory, url: str) -> None:
    for step, kind in ((100, SCIENCE), (110, INSURANCE), (120, INSURANCE), (130, INSURANCE)):
        bring(run, save(run, step, kind=kind), Noting(url))
    home = Noting(url)
    there = list(open_all(home, home.files()).values())
    assert [gone.step for gone in thin_out(home, there, [], home.files())] == [110]
    assert home.done == [f"-step_00000110/{COMMIT}"]
    assert [name.removeprefix("step_00000") for name in committed_names(home.files())] == ["100", "120", "130"]
    assert not any(path.startswith("step_00000110/") for path in home.files())


def test_what_an_interrupted_upload_left_goes_when_the_checkpoint_is_gone_here(run: RunDirectory, place: str) -> None:
    for step in (100, 110):
        with pytest.raises(InfrastructureError):
            bring(run, save(run, step), Breaking(place, 2))
    home = Noting(place)
    bring(run, save(run, 120), home)
    thin_out(home, list(open_all(home, home.files()).values()), ["step_00000110", "step_00000120"], home.files())
    assert {path.split("/")[0] for path in home.files()} == {"step_00000110", "step_00000120"}


def test_a_file_appears_under_its_name_when_it_is_whole(tmp_path: Path) -> None:
    home = Noting(f"file://{tmp_path}/there")

    def torn() -> Iterable[bytes]:
        yield bytes(1000)
        raise OSError("the disk here fails")

    home.write("a/file", [b"before"], 6)
    with pytest.raises(OSError, match="the disk here fails"):
        home.write("a/file", torn(), 2000)
    assert home.read("a/file") == b"before"
