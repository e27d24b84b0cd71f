"""Which checkpoints are at a second home. There, too, one exists when its COMMIT exists (law 2)."""

import re
from collections.abc import Mapping
from pathlib import Path

from orchestrator.checkpoints.store import COMMIT, MANIFEST, Checkpoint, DamagedError, parse_checkpoint
from orchestrator.second_home.home import NotThereError, SecondHome

_NAME = re.compile(r"(step_\d{8})/")


def committed_names(files: Mapping[str, int]) -> list[str]:
    """The directories of the committed checkpoints, oldest first."""
    return [name for name in all_names(files) if f"{name}/{COMMIT}" in files]


def all_names(files: Mapping[str, int]) -> list[str]:
    """The directories of checkpoints, committed or not, oldest first."""
    return sorted({found[1] for path in files if (found := _NAME.match(path))})


def open_there(home: SecondHome, name: str) -> Checkpoint:
    """Read a checkpoint's COMMIT and manifest. Its `directory` is its name there.

    Raises:
        DamagedError: one of them is not what was committed.
    """
    try:
        return parse_checkpoint(Path(name), home.read(f"{name}/{COMMIT}"), home.read(f"{name}/{MANIFEST}"))
    except NotThereError as error:
        raise DamagedError(f"{name} is damaged: {error}") from None


def open_all(home: SecondHome, files: Mapping[str, int]) -> dict[str, Checkpoint]:
    """The committed checkpoints by name, oldest first; without those whose COMMIT or manifest is damaged, which count as not there."""

    def opened(name: str) -> Checkpoint | None:
        try:
            return open_there(home, name)
        except DamagedError:
            return None

    names = committed_names(files)
    return {name: found for name, found in zip(names, home.each(opened, names), strict=True) if found}
