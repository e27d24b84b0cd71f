"""`midtrain logs`: what a run says, from its directory, wherever it runs. Reading them does nothing to the run."""

import math
import os
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.errors import ConfigError
from orchestrator.runs.attempts import newest_start, read_status
from orchestrator.runs.directory import RunDirectory

_LOOK_SECONDS = 0.5
_STATE_SECONDS = 20.0  # the platform is asked


def log_file(run: RunDirectory, *, rank: int | None, attempt: int | None) -> Path:
    """The file that holds a log.

    Args:
        run: its directory.
        rank: of a rank; none: of the job, or of the process that drives the attempt where there was no job.
        attempt: which one; none: the newest.

    Raises:
        ConfigError: there is none; those that there are, are named.
    """
    if rank is None and attempt is None and run.job_log.exists() and (newest_start(run) == 0 or read_status(run).job):
        return run.job_log
    number = newest_start(run) if attempt is None else attempt
    folder = run.logs(number)
    if not folder.is_dir():
        there = sorted(int(path.name) for path in run.logs(0).parent.glob("*") if path.name.isdigit())
        known = (
            f"Attempts with logs: {', '.join(map(str, there))}."
            if there
            else f"It has not been started yet: see `midtrain status`, and what the platform wrote, if it did, in {run.launch}."
        )
        raise ConfigError(f"{run.root} has no logs of attempt {number}. {known}")
    if rank is None:
        return folder / "driver.log"
    found = sorted(folder.glob(f"*-{rank}.log"))
    if not found:
        ranks = sorted(int(path.stem.rpartition("-")[2]) for path in folder.glob("*-*.log"))
        known = f"Ranks: {ranks[0]} to {ranks[-1]}." if ranks else "No rank has come up yet; leave --rank out."
        raise ConfigError(f"{run.root} has no log of rank {rank} in attempt {number}. {known}")
    return found[-1]


def show_log(path: Path, write: Callable[[str], object], *, follow: bool, is_over: Callable[[], bool]) -> None:
    """Print a log; go on with what comes to it.

    Args:
        path: the file.
        write: gets the text.
        follow: until the run is over.
        is_over: whether it is.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        looked_at, over = -math.inf, not follow
        while True:
            if follow and time.monotonic() > looked_at + _STATE_SECONDS:
                looked_at, over = time.monotonic(), is_over()  # before reading: what is over writes nothing more
            while chunk := file.read(1 << 16):
                write(chunk)
            if over:
                return
            time.sleep(_LOOK_SECONDS)
            if os.fstat(file.fileno()).st_size < file.tell():  # begun anew
                file.seek(0)
