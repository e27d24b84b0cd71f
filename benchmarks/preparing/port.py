"""A tool that tokenises: what it is given, what it tells."""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.answers import serve


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """Text to tokenise.

    Attributes:
        text: a folder of *.jsonl.zst with the fields id and text.
        model: a folder with tokenizer.json.
        separator, separator_id: the token after each document.
        out: an empty folder.
        cores: how many processes or threads may work; the process is bound to as many cores.
    """

    text: Path
    model: Path
    separator: str
    separator_id: int
    out: Path
    cores: int

    @property
    def tokenizer(self) -> Path:
        return self.model / "tokenizer.json"


Timed = tuple[float, int]  # seconds, and tokens, a separator a document counted


def main(tokenise: Callable[[Job], Timed]) -> None:
    """Serve one tool. It takes its own time, so that it can leave out what is no part of the work."""
    serve({"tokenise": lambda request: _tokenise(tokenise, request)})


def _tokenise(tokenise: Callable[[Job], Timed], request: dict[str, Any]) -> dict[str, float]:
    places = {name: Path(request[name]) for name in ("text", "model", "out")}
    job = Job(**request | places)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job.cores])
    shutil.rmtree(job.out, ignore_errors=True)
    job.out.mkdir(parents=True)
    seconds, tokens = tokenise(job)
    shutil.rmtree(job.out)
    return {"seconds": seconds, "tokens": tokens}


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """How long something took, and what it returned."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result
