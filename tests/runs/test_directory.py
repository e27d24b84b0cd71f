"""A run's directory appears whole or not at all, and never over another."""

import re
from pathlib import Path

import pytest

from orchestrator.commands.status import find_runs
from orchestrator.errors import InfrastructureError, RunExistsError
from orchestrator.runs.directory import RunDirectory, create_run


def write_plan(path: Path) -> None:
    path.write_text("{}")


def fill_the_disk(path: Path) -> None:
    path.write_text("{")
    raise OSError(28, "No space left on device")


def test_a_new_run_has_its_config_and_plan_and_nothing_else(tmp_path: Path) -> None:
    run = create_run(tmp_path / "runs" / "a", config="name: é\n", write_plan=write_plan)
    assert run == RunDirectory(tmp_path / "runs" / "a")
    assert sorted(path.name for path in run.root.iterdir()) == ["config.yaml", "plan.json"]
    assert (run.config.read_text(encoding="utf-8"), run.plan.read_text()) == ("name: é\n", "{}")
    assert [path.name for path in run.root.parent.iterdir()] == ["a"]


def test_the_plan_is_written_before_the_run_is_there(tmp_path: Path) -> None:
    seen = []

    def look(path: Path) -> None:
        seen.append((tmp_path / "a").exists())
        write_plan(path)

    create_run(tmp_path / "a", config="", write_plan=look)
    assert seen == [False]


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        ({"config.yaml": "name: a\n"}, "is this run already. Go on with it: midtrain resume"),
        ({"config.yaml": "name: b\n"}, "holds a run with another config"),
        ({"thesis.tex": "x"}, "is not a run"),
        ({}, "is not a run"),
    ],
)
def test_what_is_there_already_is_left_as_it_is(tmp_path: Path, content: dict[str, str], advice: str) -> None:
    root = tmp_path / "a"
    root.mkdir()
    for name, text in content.items():
        (root / name).write_text(text)
    with pytest.raises(RunExistsError, match=re.escape(str(root))) as caught:
        create_run(root, config="name: a\n", write_plan=write_plan)
    assert advice in str(caught.value)
    assert {path.name: path.read_text() for path in root.iterdir()} == content
    assert list(tmp_path.iterdir()) == [root]


def test_a_file_in_the_way_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("thesis")
    with pytest.raises(RunExistsError):
        create_run(tmp_path / "a", config="", write_plan=write_plan)
    assert (tmp_path / "a").read_text() == "thesis"


def test_a_run_below_a_file_is_an_error_of_infrastructure_that_names_the_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InfrastructureError, match=re.escape(str(tmp_path / "file" / "a"))):
        create_run(tmp_path / "file" / "a", config="", write_plan=write_plan)


def test_a_full_disk_leaves_no_run_and_the_next_try_succeeds(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="No space left"):
        create_run(tmp_path / "a", config="", write_plan=fill_the_disk)
    assert not (tmp_path / "a").exists()
    assert create_run(tmp_path / "a", config="", write_plan=write_plan).plan.read_text() == "{}"


def test_what_an_interrupted_creation_leaves_is_not_listed_as_a_run(tmp_path: Path) -> None:
    create_run(tmp_path / "whole", config="", write_plan=write_plan)
    with pytest.raises(InfrastructureError):
        create_run(tmp_path / "partial", config="", write_plan=fill_the_disk)
    assert [run.root.name for run in find_runs(tmp_path)] == ["whole"]
