"""Saving: every rank writes, all wait, the manifest names every file that is loaded again, COMMIT comes last."""

import json
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import xxhash

from orchestrator.checkpoints.store import COMMIT, MANIFEST, is_committed, step_directory
from orchestrator.errors import CheckpointError
from orchestrator.runs.durable import WrittenFile, sync_directory, write_whole


class Ranks(Protocol):
    """How ranks wait for and talk to each other."""

    rank: int

    def barrier(self) -> None: ...

    def gather(self, value: Any) -> list[Any]:
        """Each rank's value, in the order of ranks, on every rank."""
        ...


def save_checkpoint(
    checkpoints: Path, step: int, *, write: Callable[[Path], Sequence[WrittenFile]], facts: dict[str, Any], ranks: Ranks
) -> None:
    """Save and commit. A collective.

    Args:
        checkpoints: the run's checkpoints directory.
        step: updates made so far.
        write: writes this rank's files, durably, below the directory that it is given, and says which.
        facts: what the manifest records beside the files.
        ranks: the others.

    Raises:
        CheckpointError: this step is committed already.
    """
    began = time.perf_counter()
    directory = step_directory(checkpoints, step)
    if ranks.rank == 0:
        _make_room(directory)
    ranks.barrier()
    written = write(directory)
    everyones = ranks.gather(list(written))
    if ranks.rank == 0:
        files = sorted((file for files in everyones for file in files), key=lambda file: file.path)
        listed = [{"path": file.path, "size_bytes": file.size_bytes, "xxhash": file.xxhash} for file in files]
        for folder in {directory, checkpoints, *((directory / file.path).parent for file in files)}:
            sync_directory(folder)
        manifest = json.dumps({"step": step, **facts, "files": listed}, indent=2).encode() + b"\n"
        write_whole(directory / MANIFEST, manifest)
        commit = {"step": step, "manifest": xxhash.xxh3_128_hexdigest(manifest), "stall_seconds": round(time.perf_counter() - began, 3)}
        write_whole(directory / COMMIT, json.dumps(commit).encode() + b"\n")
    ranks.barrier()


def _make_room(directory: Path) -> None:
    """An empty directory for the save. What an interrupted save left there has no COMMIT, so it is no checkpoint and goes."""
    if is_committed(directory):
        raise CheckpointError(f"{directory} is committed already, and a checkpoint is never overwritten.")
    if directory.exists():
        shutil.rmtree(directory)
    directory.mkdir(parents=True)
