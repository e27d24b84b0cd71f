"""The outside of a measured process: start it, ask it, end it."""

import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.answers import first_line

ROOT = Path(__file__).resolve().parents[1]


class MeasurementError(Exception):
    """A measured process failed; its first line is what the table shows."""


class Measured:
    """A process of `benchmarks.answers.serve`, in an environment of its own, its noise in a log file."""

    def __init__(self, python: Path, module: str, *, work: Path, environment: Mapping[str, str] | None = None) -> None:
        """
        Args:
            python: the interpreter.
            module: what to run, such as benchmarks.peers.grain.
            work: a folder for its temporary files, caches and log.
            environment: added to our own.
        """
        for folder in ("tmp", "logs"):
            (work / folder).mkdir(parents=True, exist_ok=True)
        self.module = module
        self._log = (work / "logs" / f"{module}.log").open("a")
        self._process = subprocess.Popen(
            [str(python), "-m", module],
            cwd=ROOT,
            env=os.environ | _own_places(work) | dict(environment or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )

    def ask(self, task: str, *, timeout_seconds: float, **request: Any) -> Any:
        """The answer to one request.

        Raises:
            MeasurementError: the task failed, the process ended, or it did not answer in time; in the last case it is killed.
        """
        self.tell(task, **request)
        return self.hear(task, timeout_seconds=timeout_seconds)

    def tell(self, task: str, **request: Any) -> None:
        """Ask without waiting for the answer."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request | {"task": task}).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise MeasurementError(f"the process ended: {self._last_words()}") from None

    def hear(self, task: str, *, timeout_seconds: float) -> Any:
        """The answer to what was asked."""
        answer = json.loads(self._line(time.monotonic() + timeout_seconds, task))
        if "error" in answer:
            raise MeasurementError(answer["error"].replace(f"{ROOT}/", ""))
        return answer["result"]

    def _line(self, deadline: float, task: str) -> bytes:
        assert self._process.stdout is not None
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    self.close()
                    raise MeasurementError(f"no answer to {task} in time")
                piece = os.read(self._process.stdout.fileno(), 1 << 20)
                if not piece:
                    raise MeasurementError(f"the process ended: {self._last_words()}")
                line += piece
        return line

    def _last_words(self) -> str:
        self._process.wait()
        lines = Path(self._log.name).read_text(errors="replace").strip().splitlines()
        return f"exit code {self._process.returncode}, {first_line(lines[-1] if lines else 'nothing said')}"

    def close(self) -> None:
        """End it and what it started."""
        if self._process.poll() is None and self._process.stdin is not None:
            try:
                self._process.stdin.close()
                self._process.wait(timeout=20)
            except (OSError, subprocess.TimeoutExpired):
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        self._log.close()

    def __enter__(self) -> "Measured":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _own_places(work: Path) -> dict[str, str]:
    """Nothing is left outside the work folder, and nothing is fetched."""
    return {
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(work / "tmp"),
        "HF_HOME": str(work / "huggingface"),
        "HF_HUB_OFFLINE": "1",
        "DATA_OPTIMIZER_CACHE_FOLDER": str(work / "tmp" / "litdata"),
        "TOKENIZERS_PARALLELISM": "true",
    }
