"""midtrain itself: a real `midtrain train`, held (SIGSTOP) between its turns, its speed read off the lines of its metrics.jsonl."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from benchmarks.processes import MeasurementError
from benchmarks.training.sizes import END, LENGTH, Size

_MIDTRAIN = (sys.executable, "-c", "from orchestrator.cli import main; main()")
_DOCUMENTS, _DOCUMENT_WORDS = 600, 800
_STEPS = 5_000  # more than are ever asked for
_WARM_STEPS = 2
_LOOK_EVERY_SECONDS = 0.002
_TIMEOUT = 600.0


class Orchestrated:
    """A run in the making. It is held except while it is asked."""

    def __init__(self, size: Size, folder: Path, model: Path, work: Path) -> None:
        """Prepare the tokens, start, and wait for the first steps.

        Args:
            size: the model and its batches.
            folder: a folder for corpus, shards and run.
            model: the model's directory.
            work: where the log goes.
        """
        shutil.rmtree(folder / "run", ignore_errors=True)
        write_corpus(folder / "corpus")
        self._metrics = folder / "run" / "metrics.jsonl"
        words = [f"{key}={value}" for key, value in (_values(folder) | size.overrides(model)).items()]
        environment = os.environ | {"RAY_ADDRESS": "local", "HF_HUB_OFFLINE": "1"}
        self._log = (work / "logs" / f"midtrain.{size.key}.log").open("ab")
        options: dict[str, Any] = {"env": environment, "stdout": self._log, "stderr": self._log}
        if subprocess.run([*_MIDTRAIN, "prepare", *words], **options).returncode:
            raise MeasurementError(f"midtrain prepare failed; its words are in {self._log.name}")
        self._process = subprocess.Popen([*_MIDTRAIN, "train", *words], start_new_session=True, **options)
        try:
            self._arrivals(_WARM_STEPS)
            self._signal(signal.SIGSTOP)
        except MeasurementError:
            self.close()
            raise

    def steps(self, num: int) -> list[float]:
        """Seconds from line to line, all that happens between them with it. What was held in, and one step after it, are not counted."""
        self._signal(signal.SIGCONT)
        times = self._arrivals(num + 2)
        self._signal(signal.SIGSTOP)
        return [after - before for before, after in itertools.pairwise(times[1:])]

    def close(self) -> None:
        """Ask it to stop, as a user would, and wait."""
        self._signal(signal.SIGCONT)
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(120)
        except subprocess.TimeoutExpired:
            for process in self._tree():
                process.kill()
        self._log.close()

    def _arrivals(self, num: int) -> list[float]:
        """When each of the next lines was there."""
        times: list[float] = []
        deadline = time.monotonic() + _TIMEOUT
        seen = self._lines()
        while len(times) < num:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise MeasurementError(f"midtrain train ended or stood still; its words are in {self._log.name}")
            now = self._lines()
            times += [time.perf_counter()] * (now - seen)
            seen = now
            time.sleep(_LOOK_EVERY_SECONDS)
        return times

    def _lines(self) -> int:
        return self._metrics.read_bytes().count(b"\n") if self._metrics.exists() else 0

    def _signal(self, number: int) -> None:
        for process in self._tree():
            process.send_signal(number)

    def _tree(self) -> list[psutil.Process]:
        if self._process.poll() is not None:
            return []
        root = psutil.Process(self._process.pid)
        return [root, *root.children(recursive=True)]

    def __enter__(self) -> "Orchestrated":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def write_corpus(folder: Path) -> None:
    """Two sources of documents of numbers."""
    for name in ("spec", "general"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        texts = (" ".join(f"{name} {number * 7919 + word}" for word in range(_DOCUMENT_WORDS)) for number in range(_DOCUMENTS))
        (folder / name / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


def _values(folder: Path) -> dict[str, Any]:
    return {
        "run.name": "bench",
        "run.dir": folder / "run",
        "shards.dir": folder / "shards",
        "shards.document_separator": f'"{END}"',  # Hydra would read its bars
        "sources.spec": f"{{role:spec,paths:[{folder}/corpus/spec]}}",
        "sources.general": f"{{role:general,paths:[{folder}/corpus/general]}}",
        "mixture.spec_share": 0.1,
        "mixture.max_epochs": "{spec:1000,general:1000}",
        "mixture.total_tokens": _STEPS * 4 * LENGTH,
        "checkpoints.every_steps": _STEPS,
        "evaluation.every_steps": _STEPS,
        "tracking": "off",
    }
