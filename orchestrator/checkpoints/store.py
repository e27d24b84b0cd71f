"""Which checkpoints a run has, and whether their bytes are those that were committed. Imports no torch, so that a login node can ask."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash

from orchestrator.errors import CheckpointError
from orchestrator.runs.durable import hash_file

COMMIT = "COMMIT"
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A committed checkpoint, its manifest, and how long saving it held up training."""

    step: int
    directory: Path
    manifest: dict[str, Any]
    stall_seconds: float


def step_directory(checkpoints: Path, step: int) -> Path:
    """Where the checkpoint of a step is."""
    return checkpoints / f"step_{step:08d}"


def is_committed(directory: Path) -> bool:
    """Whether a directory is a checkpoint (law 2)."""
    return (directory / COMMIT).is_file()


def committed_checkpoints(checkpoints: Path) -> Iterator[Checkpoint]:
    """The committed checkpoints of a run, oldest first; only their COMMIT and manifest are read.

    Raises:
        CheckpointError: a COMMIT or its manifest is damaged.
    """
    for directory in sorted(checkpoints.glob("step_*")):
        if is_committed(directory):
            yield _open(directory)


def newest_checkpoint(checkpoints: Path) -> Checkpoint | None:
    """The checkpoint to resume from, every byte of it verified.

    Returns:
        The newest committed one, or none when the run never began to save.

    Raises:
        CheckpointError: saves were begun and none was committed, or the newest is damaged.
    """
    directories = sorted(checkpoints.glob("step_*"))
    committed = [directory for directory in directories if is_committed(directory)]
    if not committed and directories:
        raise CheckpointError(
            f"{directories[-1]} has no {COMMIT}: its save was interrupted, so it is not a checkpoint, and the run has no other. "
            f"To train from step 0 again, delete it: rm -r {directories[-1]}"
        )
    if not committed:
        return None
    checkpoint = _open(committed[-1])
    _verify(checkpoint)
    return checkpoint


def _open(directory: Path) -> Checkpoint:
    try:
        commit = json.loads((directory / COMMIT).read_text(encoding="utf-8"))
        manifest = (directory / MANIFEST).read_bytes()
        if xxhash.xxh3_128_hexdigest(manifest) != commit["manifest"]:
            raise _damaged(directory / MANIFEST, "its hash is not the committed one")
        if directory.name != step_directory(directory.parent, commit["step"]).name:
            raise _damaged(directory, f"its {COMMIT} is that of step {commit['step']:,}")
        return Checkpoint(commit["step"], directory, json.loads(manifest), commit["stall_seconds"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(directory, f"{type(error).__name__}: {error}") from None


def _verify(checkpoint: Checkpoint) -> None:
    for file in checkpoint.manifest["files"]:
        path = checkpoint.directory / file["path"]
        if not path.is_file() or path.stat().st_size != file["size_bytes"]:
            size = f"{path.stat().st_size:,} bytes" if path.is_file() else "missing"
            raise _damaged(path, f"{size}, committed were {file['size_bytes']:,} bytes")
        if hash_file(path) != file["xxhash"]:
            raise _damaged(path, "its bytes are not those that were committed")


def _damaged(path: Path, why: str) -> CheckpointError:
    directory = path if path.is_dir() else next(p for p in path.parents if p.name.startswith("step_"))
    return CheckpointError(
        f"{path} is damaged: {why}. To resume from the checkpoint before it, take its COMMIT away: rm {directory / COMMIT}"
    )
