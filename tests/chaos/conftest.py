"""The small run that the cases break, its undisturbed twin, and the table of what each case cost."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.breaking import command, ended, traces, train
from tests.corpus.conftest import s3 as s3
from tests.second_home.conftest import bucket as bucket
from tests.second_home.conftest import fickle as fickle
from tests.support.cases import Cases
from tests.support.tiny import write_everything

_cases = Cases("chaos")
pytest_collection_modifyitems = _cases.pytest_collection_modifyitems
pytest_runtest_makereport = _cases.pytest_runtest_makereport
pytest_terminal_summary = _cases.pytest_terminal_summary


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_everything(tmp_path_factory.mktemp("chaos"))
    with command("prepare", *_words(folder), folder=folder) as prepare:
        ended(prepare)
    return folder


def _words(folder: Path) -> list[str]:
    from tests.support.tiny import overrides

    return overrides(folder)


@pytest.fixture(scope="session")
def reference(folder: Path) -> Path:
    """The run that nobody disturbs."""
    run = folder / "runs" / "reference"
    began = time.monotonic()
    with train(run, folder) as process:
        ended(process)
    _cases.add("(the undisturbed run)", "", time.monotonic() - began)
    return run


@pytest.fixture(autouse=True)
def nothing_is_left_behind(folder: Path) -> Iterator[None]:
    """No process, no shared memory, no temporary directory outlives a case."""
    (folder / "fault").unlink(missing_ok=True)
    before = traces()
    yield
    deadline = time.monotonic() + 60
    while (left := traces() - before) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == set()
