"""The run directory's file system: full, read-only, slow, out of files, and with a clock of its own."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.doctor.clocks import Offset
from orchestrator.doctor.disk import DiskFacts, check_disk, judge_disk, nearest_directory
from tests.commands.listing import listing

WELL = DiskFacts(
    size_bytes=64 << 20,
    write_seconds=0.1,
    small_seconds=0.01,
    free_bytes=1 << 40,
    free_files=10**7,
    clock=Offset(seconds=0.001, uncertainty_seconds=0.001),
)


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A file system in memory, where one can be mounted."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_where_a_run_would_be_is_written_to_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "kept").write_text("x")
    before = listing(tmp_path)
    found = check_disk(tmp_path / "runs" / "mine" / "deep", "here")
    assert [finding.check for finding in found] == ["run directory", "small files", "free space", "storage clock"]
    assert f"in {tmp_path}/runs" in found[0].value
    assert listing(tmp_path) == before


def test_a_disk_that_is_too_small_is_bad_and_left_empty(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=8m") as disk:
        (found,) = check_disk(disk / "runs" / "mine", "here")
        assert (found.check, found.verdict) == ("run directory", "bad")
        assert found.value == f"{disk} cannot be written: No space left on device"
        assert found.remedy.startswith("Free space on it")
        assert list(disk.iterdir()) == []


def test_a_disk_that_is_read_only_is_bad(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "ro") as disk:
        (found,) = check_disk(disk / "mine", "here")
        assert (found.verdict, found.remedy[:24]) == ("bad", "It is mounted read-only ")


def test_a_file_where_a_directory_should_be_is_bad(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("x")
    (found,) = check_disk(tmp_path / "runs", "here")
    assert (found.verdict, "Not a directory" in found.value) == ("bad", True)


@pytest.mark.parametrize(("ahead", "verdict"), [(0.0, "good"), (30.0, "warning"), (-30.0, "warning"), (4000.0, "bad")])
def test_a_clock_that_is_not_that_of_the_storage_is_told(tmp_path: Path, ahead: float, verdict: str) -> None:
    (found,) = [f for f in check_disk(tmp_path, "here", clock=lambda: time.time() + ahead) if f.check == "storage clock"]
    assert found.verdict == verdict
    assert ahead == 0 or ("behind" if ahead > 0 else "ahead") in found.value


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, {}),
        ({"write_seconds": 10.0}, {"run directory": "warning"}),
        ({"small_seconds": 3.0}, {"small files": "warning"}),
        ({"free_bytes": 5 << 30}, {"free space": "warning"}),
        ({"free_files": 12}, {"free space": "bad"}),
        ({"free_files": None}, {}),
    ],
    ids=str,
)
def test_each_fact_is_told_by_its_own_check(change: dict[str, Any], expected: dict[str, str]) -> None:
    found = judge_disk(replace(WELL, **change), Path("/runs"), "here")
    assert {finding.check: finding.verdict for finding in found if finding.verdict != "good"} == expected


def test_the_nearest_directory_is_the_first_above_that_is_there(tmp_path: Path) -> None:
    assert nearest_directory(tmp_path) == tmp_path
    assert nearest_directory(tmp_path / "a" / "b") == tmp_path
