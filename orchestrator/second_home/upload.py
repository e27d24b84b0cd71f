"""One checkpoint, from here to a second home: every file is read back, and COMMIT comes last (law 2)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import xxhash

from orchestrator.checkpoints.retention import superseded
from orchestrator.checkpoints.store import COMMIT, MANIFEST, Checkpoint, DamagedError, is_committed
from orchestrator.errors import InfrastructureError
from orchestrator.second_home.catalogue import all_names, committed_names
from orchestrator.second_home.home import SecondHome
from orchestrator.second_home.run_files import RUN_FILES

_READ_BYTES = 1 << 23


class GoneError(Exception):
    """The checkpoint was deleted here meanwhile."""


def upload(home: SecondHome, checkpoint: Checkpoint, *, there: Mapping[str, int], run_files: Callable[[], bytes]) -> int:
    """Copy a checkpoint. Files that an interrupted upload has left there are kept where they are whole.

    Args:
        home: where to.
        checkpoint: of this machine.
        there: the sizes of the files that are there; another checkpoint of the step loses its COMMIT first.
        run_files: packs what goes with it.

    Returns:
        The bytes of its files.

    Raises:
        GoneError: it was deleted here meanwhile.
        DamagedError: it is damaged here.
        InfrastructureError: the second home does not take it.
    """
    name = checkpoint.directory.name
    files: Sequence[Mapping[str, Any]] = checkpoint.manifest["files"]
    last = [(file, _read(checkpoint, file)) for file in (MANIFEST, COMMIT)]  # before it can be deleted here
    if f"{name}/{COMMIT}" in there:
        home.delete(f"{name}/{COMMIT}")
    home.each(lambda file: _bring(home, checkpoint, file, is_there=there.get(f"{name}/{file['path']}") == file["size_bytes"]), files)
    for file, content in [(RUN_FILES, run_files()), *last]:
        put(home, f"{name}/{file}", content)
    return sum(file["size_bytes"] for file in files)


def put(home: SecondHome, path: str, content: bytes) -> None:
    """Write a small file, and read it back.

    Raises:
        InfrastructureError: it is not what was written.
    """
    home.write(path, [content], len(content))
    if home.read(path) != content:
        raise _unlike(home, path)


def thin_out(home: SecondHome, there: Sequence[Checkpoint], here: Sequence[str], files: Mapping[str, int]) -> list[Checkpoint]:
    """Delete what is superseded, COMMIT first, and what interrupted uploads have left of checkpoints that are not here any more.

    Args:
        home: it has just got a checkpoint.
        there: its committed checkpoints, oldest first.
        here: the names of this machine's.
        files: all that was there.

    Returns:
        The checkpoints that are gone.
    """
    gone = superseded(there)
    for checkpoint in gone:
        home.delete(f"{checkpoint.directory.name}/{COMMIT}")
        home.delete_below(checkpoint.directory.name)
    committed = {*committed_names(files), *(checkpoint.directory.name for checkpoint in there)}
    for name in all_names(files):
        if name < max(committed) and name not in committed and name not in here:
            home.delete_below(name)
    return gone


def _bring(home: SecondHome, checkpoint: Checkpoint, file: Mapping[str, Any], *, is_there: bool) -> None:
    path, size, expected = f"{checkpoint.directory.name}/{file['path']}", file["size_bytes"], file["xxhash"]
    if is_there and home.holds(path, size, expected):
        return
    digest = xxhash.xxh3_128()
    home.write(path, _blocks(checkpoint, file["path"], digest), size)
    if digest.hexdigest() != expected:
        raise DamagedError(f"{checkpoint.directory / file['path']} is damaged: its bytes are not those that were committed")
    if not home.holds(path, size, expected):
        raise _unlike(home, path)


def _blocks(checkpoint: Checkpoint, path: str, digest: Any) -> Iterator[bytes]:
    try:
        with (checkpoint.directory / path).open("rb") as file:
            while block := file.read(_READ_BYTES):
                digest.update(block)
                yield block
    except FileNotFoundError:
        raise _missing(checkpoint.directory, path) from None


def _read(checkpoint: Checkpoint, file: str) -> bytes:
    try:
        return (checkpoint.directory / file).read_bytes()
    except FileNotFoundError:
        raise _missing(checkpoint.directory, file) from None


def _missing(directory: Path, path: str) -> Exception:
    return DamagedError(f"{directory / path} is damaged: missing") if is_committed(directory) else GoneError(str(directory))


def _unlike(home: SecondHome, path: str) -> InfrastructureError:
    return InfrastructureError(f"{home.url}/{path}: what it reads back is not what was written.")
