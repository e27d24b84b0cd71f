"""The outside of a peer: a process a rank, asked together."""

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.processes import Measured

_TIMEOUT = 600.0


class Ranks:
    """Processes of `benchmarks.answers.serve` that share a process group."""

    def __init__(self, module: str, num: int, *, threads: int, work: Path, variables: Mapping[str, str] | None = None) -> None:
        """
        Args:
            module: what each runs.
            num: ranks.
            threads: of each.
            work: a folder for logs and temporary files.
            variables: of the environment, besides.
        """
        port = _free_port()
        self._processes = []
        for rank in range(num):
            places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": num, "LOCAL_WORLD_SIZE": num, "MASTER_ADDR": "127.0.0.1"}
            rest = {"MASTER_PORT": port, "OMP_NUM_THREADS": threads, "DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": ""}
            environment = {name: str(value) for name, value in (dict(variables or {}) | places | rest).items()}
            self._processes.append(Measured(Path(sys.executable), module, work=work, environment=environment))

    def ask(self, task: str, **request: Any) -> Any:
        """What the first rank answers, once all have."""
        for process in self._processes:
            process.tell(task, **request)
        answers = [process.hear(task, timeout_seconds=_TIMEOUT) for process in self._processes]
        return answers[0]

    def __enter__(self) -> "Ranks":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for process in self._processes:
            process.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def threads_of_machine() -> int:
    """How many threads a process that is alone gets."""
    return len(os.sched_getaffinity(0))
