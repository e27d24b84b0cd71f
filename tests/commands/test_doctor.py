"""`midtrain doctor` on this machine: a table or JSON, and an exit code that says whether something is bad."""

import json
from pathlib import Path

import pytest

from tests.commands.command_line import midtrain
from tests.commands.listing import listing
from tests.support.prepared import write_prepared
from tests.support.tiny import overrides


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("doctor")
    write_prepared(folder)
    return folder


def test_a_machine_where_nothing_is_bad_is_a_table_and_is_left_as_it_was(home: Path) -> None:
    before = listing(home)
    ended = midtrain("doctor", "--quick", *overrides(home), cwd=home)
    assert ended.returncode == 0, ended.stderr
    assert [check for check in ("run directory", "/dev/shm", "model", "source 'spec'", "W&B") if check not in ended.stdout] == []
    assert listing(home) == before


def test_scripts_get_json_with_every_finding_also_when_something_is_bad(home: Path) -> None:
    ended = midtrain("doctor", "--quick", "--json", *overrides(home, **{"shards.dir": home / "elsewhere"}), cwd=home)
    report = json.loads(ended.stdout)
    assert (ended.returncode, report["is_good"]) == (2, False)
    bad = [finding["check"] for finding in report["findings"] if finding["verdict"] == "bad"]
    assert bad == ["source 'spec'", "source 'code'", "source 'docs'"]
    assert "error: source 'spec' on " in ended.stderr
    assert "(2 more above)" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_directory_that_cannot_be_written_is_of_the_infrastructure(home: Path) -> None:
    ended = midtrain("doctor", "--quick", *overrides(home, **{"run.dir": "/proc/runs/mine"}), cwd=home)
    assert ended.returncode == 6
    assert "error: run directory on " in ended.stderr
    assert "/proc cannot be written" in ended.stderr
