"""Which checkpoints a run has, and whether their bytes are those that were committed. Imports no torch, so that a login node can ask."""

import errno
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


class DamagedError(CheckpointError):
    """A committed checkpoint is not what was committed."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A committed checkpoint, and its manifest."""

    step: int
    directory: Path
    manifest: dict[str, Any]


def step_directory(checkpoints: Path, step: int) -> Path:
    """Where the checkpoint of a step is."""
    return checkpoints / f"step_{step:08d}"


def is_committed(directory: Path) -> bool:
    """Whether a directory is a checkpoint (law 2)."""
    return (directory / COMMIT).is_file()


def committed_directories(checkpoints: Path) -> list[Path]:
    """Where the committed checkpoints of a run are, oldest first."""
    return [directory for directory in sorted(checkpoints.glob("step_*")) if is_committed(directory)]


def committed_checkpoints(checkpoints: Path) -> Iterator[Checkpoint]:
    """The committed checkpoints of a run, oldest first; only their COMMIT and manifest are read.

    Raises:
        DamagedError: a COMMIT or its manifest is damaged.
    """
    return map(open_checkpoint, committed_directories(checkpoints))


def open_checkpoint(directory: Path) -> Checkpoint:
    """Read a checkpoint's COMMIT and manifest.

    Raises:
        DamagedError: one of them is not what was committed.
        OSError: they cannot be read now, and perhaps later.
    """
    try:
        return parse_checkpoint(directory, (directory / COMMIT).read_bytes(), (directory / MANIFEST).read_bytes())
    except OSError as error:
        if not is_lost(error):
            raise
        raise DamagedError(f"{directory / COMMIT} is damaged: {type(error).__name__}: {error}") from None


def parse_checkpoint(directory: Path, commit: bytes, manifest: bytes) -> Checkpoint:
    """What a COMMIT and a manifest say.

    Args:
        directory: where they are, here or elsewhere.
        commit, manifest: the content of the two files.

    Raises:
        DamagedError: one of them is not what was committed.
    """
    try:
        committed = json.loads(commit)
        if xxhash.xxh3_128_hexdigest(manifest) != committed["manifest"]:
            raise DamagedError(f"{directory / MANIFEST} is damaged: its hash is not the committed one")
        if directory.name != step_directory(directory.parent, committed["step"]).name:
            raise DamagedError(f"{directory} is damaged: its {COMMIT} is that of step {committed['step']:,}")
        return Checkpoint(committed["step"], directory, json.loads(manifest))
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{directory / COMMIT} is damaged: {type(error).__name__}: {error}") from None


def verify(checkpoint: Checkpoint, *, share: int = 0, shares: int = 1) -> None:
    """Read a checkpoint's files, or every so manieth of them, and compare them with its manifest.

    Args:
        checkpoint: opened.
        share: which of the shares, from 0.
        shares: how many there are.

    Raises:
        DamagedError: a file is missing, or of another size, or has other bytes.
    """
    for file in checkpoint.manifest["files"][share::shares]:
        path = checkpoint.directory / file["path"]
        if not path.is_file() or path.stat().st_size != file["size_bytes"]:
            size = f"{path.stat().st_size:,} bytes" if path.is_file() else "missing"
            raise DamagedError(f"{path} is damaged: {size}, committed were {file['size_bytes']:,} bytes")
        try:
            found = hash_file(path)
        except OSError as error:
            if not is_lost(error):
                raise
            raise DamagedError(f"{path} is damaged: {error}") from None
        if found != file["xxhash"]:
            raise DamagedError(f"{path} is damaged: its bytes are not those that were committed")


def is_lost(error: OSError) -> bool:
    """Whether what could not be read will not be there at another try: it is gone, or its disk cannot read it."""
    return error.errno in (errno.ENOENT, errno.EIO)
