"""The small run that the cases break, its undisturbed twin, and the table of what each case cost."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.breaking import command, ended, traces, train
from tests.corpus.conftest import s3 as s3
from tests.second_home.conftest import bucket as bucket
from tests.second_home.conftest import fickle as fickle
from tests.support.tiny import write_everything

_costs: list[tuple[str, str, float]] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "chaos" in Path(item.path).parts:
            item.add_marker(pytest.mark.chaos)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if call.when == "call" and "chaos" in Path(item.path).parts:
        _costs.append((item.name.removeprefix("test_").replace("_", " "), report.outcome, call.duration))  # type: ignore[attr-defined]
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _costs:
        width = max(len(name) for name, _, _ in _costs)
        terminalreporter.write_sep("-", "chaos: seconds that each case took")
        for name, outcome, seconds in _costs:
            terminalreporter.write_line(f"{name:<{width}}  {outcome:<7} {seconds:6.1f}")


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
    _costs.append(("(the undisturbed run)", "", time.monotonic() - began))
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
