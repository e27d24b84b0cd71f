"""Which checkpoints are kept: science saves for ever, insurance saves until two newer checkpoints are there."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from orchestrator.checkpoints.store import COMMIT, Checkpoint, DamagedError, committed_directories, is_committed, open_checkpoint
from orchestrator.runs.durable import sync_directory

INSURANCE, SCIENCE = "insurance", "science"
_KEPT = 2  # so that a damaged newest one costs little


def superseded(checkpoints: Sequence[Checkpoint]) -> list[Checkpoint]:
    """The insurance saves that have two newer checkpoints, of whichever kind, above them.

    Args:
        checkpoints: committed, oldest first.
    """
    return [checkpoint for checkpoint in checkpoints[:-_KEPT] if checkpoint.manifest.get("kind") == INSURANCE]


def thin_out(checkpoints: Path) -> list[int]:
    """Delete what is superseded, and what interrupted saves have left below the newest checkpoint. Call it after a save that succeeded.

    Returns:
        The steps whose checkpoints are gone.
    """
    kept = list(_readable(checkpoints))
    gone = superseded(kept)
    for checkpoint in gone:
        delete(checkpoint.directory)
    for directory in _leftovers(checkpoints, kept[-1].directory):
        shutil.rmtree(directory)
    return [checkpoint.step for checkpoint in gone]


def _readable(checkpoints: Path) -> Iterator[Checkpoint]:
    """Those that are whole as far as COMMIT and manifest tell. What is damaged is for a resume to set aside; nothing is deleted for it."""
    for directory in committed_directories(checkpoints):
        with suppress(DamagedError):
            yield open_checkpoint(directory)


def delete(directory: Path) -> None:
    """Delete a checkpoint, its COMMIT first: what a kill leaves of it is no checkpoint."""
    (directory / COMMIT).unlink()
    sync_directory(directory)
    shutil.rmtree(directory)


def _leftovers(checkpoints: Path, newest: Path) -> Iterator[Path]:
    for directory in checkpoints.glob("step_*"):
        if directory < newest and not is_committed(directory):
            yield directory
