"""Ranks that are threads of this process, and what they write."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import xxhash

from orchestrator.checkpoints.commit import Ranks, save_checkpoint
from orchestrator.runs.durable import WrittenFile

Files = Mapping[str, bytes]
_DEADLINE_SECONDS = 30


class Alone:
    """A world of one rank."""

    rank = 0

    def barrier(self) -> None:
        pass

    def gather(self, value: Any) -> list[Any]:
        return [value]


class Threads:
    """A rank of several; a gang whose barrier a failing rank breaks, so that no other waits for it."""

    def __init__(self, rank: int, meeting: threading.Barrier, values: list[Any]) -> None:
        self.rank, self._meeting, self._values = rank, meeting, values

    def barrier(self) -> None:
        self._meeting.wait()

    def gather(self, value: Any) -> list[Any]:
        self._values[self.rank] = value
        self.barrier()
        everyones = list(self._values)
        self.barrier()
        return everyones


def on_ranks(world_size: int, function: Callable[[Ranks], None]) -> None:
    """Run a function on every rank; what the first failing rank raised is raised here."""
    meeting = threading.Barrier(world_size, timeout=_DEADLINE_SECONDS)
    values: list[Any] = [None] * world_size
    causes: list[BaseException] = []

    def run(rank: int) -> None:
        try:
            function(Threads(rank, meeting, values))
        except threading.BrokenBarrierError:
            pass  # another rank failed
        except BaseException as error:
            causes.append(error)
            meeting.abort()

    with ThreadPoolExecutor(world_size) as pool:
        list(pool.map(run, range(world_size)))
    if causes:
        raise causes[0]


def writing(files: Files) -> Callable[[Path], list[WrittenFile]]:
    """A writer of the given files, as an engine's `save` is."""

    def write(directory: Path) -> list[WrittenFile]:
        for name, content in files.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_bytes(content)
        return [WrittenFile(name, len(content), xxhash.xxh3_128_hexdigest(content)) for name, content in files.items()]

    return write


def save(checkpoints: Path, step: int, files: Files) -> None:
    """Save as a world of one rank."""
    save_checkpoint(checkpoints, step, write=writing(files), facts={"world_size": 1}, ranks=Alone())
