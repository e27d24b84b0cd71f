"""Cases that take long: marked by the folder they are in, so that only their own command runs them, and listed with their seconds."""

from collections.abc import Iterator
from pathlib import Path

import pytest


class Cases:
    """Of one folder. Its conftest takes the hooks over by their names."""

    def __init__(self, folder: str) -> None:
        """
        Args:
            folder: its name, and that of the mark.
        """
        self._folder = folder
        self._costs: list[tuple[str, str, float]] = []

    def add(self, name: str, outcome: str, seconds: float) -> None:
        self._costs.append((name, outcome, seconds))

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            if self._folder in Path(item.path).parts:
                item.add_marker(self._folder)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
        report = yield
        if call.when == "call" and self._folder in Path(item.path).parts:
            self.add(item.name.removeprefix("test_").replace("_", " "), report.outcome, call.duration)  # type: ignore[attr-defined]
        return report

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._costs:
            width = max(len(name) for name, _, _ in self._costs)
            terminalreporter.write_sep("-", f"{self._folder}: seconds that each case took")
            for name, outcome, seconds in self._costs:
                terminalreporter.write_line(f"{name:<{width}}  {outcome:<7} {seconds:6.1f}")
