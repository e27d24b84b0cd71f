"""What all measures share: where things are, the peers' processes, and failures that end a cell of a table and not the run."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import Measured, MeasurementError
from benchmarks.registry import Entry
from benchmarks.settings import Settings

Failure = dict[str, str]  # {"error": first line}


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """A run of the benchmark.

    Attributes:
        work: `.bench/`.
        data: the folder of the tokens.
        settings: how large and how often.
        pythons: the interpreter of each environment.
    """

    work: Path
    data: Path
    settings: Settings
    pythons: Mapping[str, Path]

    def start(self, module: str, environment: str = "own", variables: Mapping[str, str] | None = None) -> Measured:
        """A new process of an environment."""
        return Measured(self.pythons[environment], module, work=self.work, environment=variables)


def attempt(work: Callable[[], Any]) -> Any:
    """What the work returns, or its failure."""
    try:
        return work()
    except MeasurementError as error:
        return {"error": str(error)}


def failed(result: Any) -> bool:
    """Whether a result is a failure."""
    return isinstance(result, dict) and "error" in result


@contextmanager
def running(bench: Bench, entries: list[Entry]) -> Iterator[dict[str, Measured]]:
    """A process a peer, all at once, for as long as the context lasts; idle ones wait for their next request."""
    processes = {entry.key: bench.start(entry.module, entry.environment) for entry in entries}
    try:
        yield processes
    finally:
        for process in processes.values():
            process.close()


def wanted(entries: list[Entry], measure: str) -> list[Entry]:
    """Those that a measure is asked of."""
    return [entry for entry in entries if measure in entry.measures]


def tell(line: str) -> None:
    """Say how far it is."""
    print(line, flush=True)
