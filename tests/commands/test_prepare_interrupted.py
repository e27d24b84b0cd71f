"""A preparation that is killed, or whose disk is full, goes on with what lacks a marker, and ends with the same bytes."""

import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from orchestrator.config.load import load_config
from orchestrator.runs.locks import is_held
from tests.commands.command_line import PROGRAM, midtrain
from tests.corpus.writing import write_texts
from tests.support.prepared import prepare_sources
from tests.support.tiny import overrides, write_everything

NUM_FILES = 8
IN_PROCESS = """
import resource, sys
from contextlib import nullcontext
from orchestrator.commands import prepare
from tests.support.prepared import InProcess
prepare.RayPool = lambda: nullcontext(InProcess())
size = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
"""


def words(home: Path, name: str = "shards") -> list[str]:
    """One source of many units beside the spec, with duplicates to remove."""
    source = f"{{role:general,paths:[{home}/web],heldout_share:0.1}}"
    changes = {"shards.dir": home / name, "shards.shard_bytes": 1, "sources.web": source, "corpus.duplicates": "remove"}
    return [word for word in overrides(home, **changes) if not word.startswith(("sources.code", "sources.docs"))]


def write_web(home: Path, documents_of_file: Callable[[int], int], words_of_document: int) -> None:
    pick = random.Random(0)
    vocabulary = ["the", "river", "asks", "12", "lock", "été", "keeper", "writes", "\n"]
    for number in range(NUM_FILES):
        texts = [
            f"{number if index else ''} {index} " + " ".join(pick.choices(vocabulary, k=words_of_document if index else 9))
            for index in range(documents_of_file(number))
        ]
        write_texts(home / "web" / f"{number}.jsonl.zst", [*texts, texts[-1]])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def unchanged(files: dict[Path, int]) -> bool:
    return all(path.stat().st_mtime_ns == time_ns for path, time_ns in files.items())


def marked(folder: Path, kind: str) -> dict[Path, int]:
    """The markers of a kind, and when they were written."""
    return {path: path.stat().st_mtime_ns for path in folder.glob(f"web/{kind}_*.json")}


@contextmanager
def preparing(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command at work; if the test fails in between, it is killed."""
    with (home / "log").open("w") as log:
        driver = subprocess.Popen([sys.executable, "-c", PROGRAM, "prepare", *words(home)], cwd=home, stdout=log, stderr=log)
        try:
            yield driver
        finally:
            driver.kill()
            driver.wait()


def until(condition: Callable[[], bool], driver: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 50
    while not condition():
        assert time.monotonic() < deadline and driver.poll() is None, "it ended, or took too long, before it could be killed"
        time.sleep(0.002)


def below(driver: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(driver.pid).children(recursive=True)


def workers(driver: subprocess.Popen[bytes], function: str) -> list[psutil.Process]:
    def does(process: psutil.Process) -> bool:
        try:
            return function in " ".join(process.cmdline())
        except psutil.Error:
            return False

    return [process for process in below(driver) if does(process)]


def end(processes: list[psutil.Process], tasks: list[psutil.Process]) -> None:
    """See the tasks of a driver that was killed to their end; Ray's agents take longer, and are helped to it."""
    _, alive = psutil.wait_procs(tasks, timeout=20)
    assert alive == []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def temporary_folders() -> set[Path]:
    return set(Path("/tmp").glob("midtrain-*"))


def test_a_driver_and_then_a_worker_that_are_killed_cost_only_what_was_not_complete(tmp_path: Path) -> None:
    write_everything(tmp_path)
    write_web(tmp_path, lambda number: 60, 5_000)
    reference = prepare_sources(load_config(words(tmp_path, "reference")))
    before, shards = temporary_folders(), tmp_path / "shards"
    complete = random.Random(7).randint(1, NUM_FILES // 2)
    with preparing(tmp_path) as driver:
        until(lambda: len(marked(shards, "unit")) >= complete, driver)
        started, tasks = below(driver), workers(driver, "ray::tokenise_unit")
        driver.kill()
    end(started, tasks)
    audited, tokenised = marked(shards, "audit"), marked(shards, "unit")
    assert (len(audited), complete <= len(tokenised) < NUM_FILES) == (NUM_FILES, True)
    with preparing(tmp_path) as driver:
        until(lambda: bool(workers(driver, "ray::tokenise_unit")), driver)
        workers(driver, "ray::tokenise_unit")[0].kill()
        assert driver.wait(50) == 0, (tmp_path / "log").read_text()
    assert unchanged(audited | tokenised)
    assert contents(shards) == contents(tmp_path / "reference")
    assert reference["web"].dropped > 0
    for folder in temporary_folders() - before:  # of the driver that was killed
        shutil.rmtree(folder, ignore_errors=True)


def limited(home: Path, size: int, *more: str) -> subprocess.CompletedProcess[str]:
    """The command where no file may grow over a size, which fails a write as a full disk does. Ray could not start there."""
    return subprocess.run(
        [sys.executable, "-c", IN_PROCESS + PROGRAM, str(size), "prepare", *words(home), *more],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(("kind", "size"), [("audit", 5_000), ("unit", 30_000)])
def test_a_full_disk_is_one_message_and_leaves_complete_units_valid(tmp_path: Path, kind: str, size: int) -> None:
    write_everything(tmp_path)
    write_web(tmp_path, lambda number: 10 if number < 3 else 400, 20)
    prepare_sources(load_config(words(tmp_path, "reference")))
    (tmp_path / "shards").mkdir()
    shutil.copy(tmp_path / "reference" / "tokenizer.json", tmp_path / "shards")  # larger than what is to be too large
    ended = limited(tmp_path, size)
    assert (ended.returncode, ended.stdout) == (6, ""), ended.stderr
    *_, message = ended.stderr.splitlines()
    assert message.startswith(f"error: cannot write to {tmp_path}/shards/web: [Errno 27] File too large")
    assert [part for part in ("Free space", "shards.dir", "complete units are kept") if part not in message] == []
    done = marked(tmp_path / "shards", kind)
    assert sorted(path.name for path in done) == [f"{kind}_0000{number}.json" for number in range(3)]
    assert list((tmp_path / "shards").rglob("*partial*")) == []
    assert limited(tmp_path, resource.RLIM_INFINITY).returncode == 0
    assert unchanged(done)
    assert contents(tmp_path / "shards") == contents(tmp_path / "reference")


def test_a_full_disk_while_packing_leaves_packed_shards_valid(tmp_path: Path) -> None:
    write_everything(tmp_path)
    write_web(tmp_path, lambda number: 10 if number < 3 else 400, 20)
    prepare_sources(load_config(words(tmp_path)))
    prepare_sources(load_config([*words(tmp_path, "reference"), "shards.packing=best_fit"]))
    ended = limited(tmp_path, 15_000, "shards.packing=best_fit")
    assert (ended.returncode, ended.stdout) == (6, ""), ended.stderr
    assert ended.stderr.splitlines()[-1].startswith(f"error: cannot write to {tmp_path}/shards/web: [Errno 27] File too large")
    markers = sorted((tmp_path / "shards" / "web").glob("train_*.best_fit_*.json"))
    assert [path.name.split(".")[0] for path in markers] == ["train_00000", "train_00001", "train_00002"]
    packed = {path.with_suffix(".bin"): path.with_suffix(".bin").stat().st_mtime_ns for path in markers}
    assert limited(tmp_path, resource.RLIM_INFINITY, "shards.packing=best_fit").returncode == 0
    assert unchanged(packed)
    assert contents(tmp_path / "shards") == contents(tmp_path / "reference")


def test_a_second_preparation_of_the_same_shards_is_refused_while_the_first_is_at_work(tmp_path: Path) -> None:
    write_everything(tmp_path)
    write_web(tmp_path, lambda number: 2, 100)
    with preparing(tmp_path) as first:
        until(lambda: is_held(tmp_path / "shards" / ".lock"), first)
        second = midtrain("prepare", *words(tmp_path), cwd=tmp_path)
        assert first.wait(50) == 0, (tmp_path / "log").read_text()
    assert second.returncode == 2
    assert f"another `midtrain prepare` is at work in shards.dir={tmp_path}/shards. Wait" in second.stderr
    assert not is_held(tmp_path / "shards" / ".lock")
