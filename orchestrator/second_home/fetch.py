"""From a second home to a machine that has less: the run's files, and the newest checkpoint whose every byte is as it was committed."""

import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import xxhash

from orchestrator.checkpoints.choosing import quarantine
from orchestrator.checkpoints.store import COMMIT, MANIFEST, Checkpoint, DamagedError, is_committed, open_checkpoint, step_directory
from orchestrator.errors import CheckpointError, ConfigError, InfrastructureError
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.durable import hash_file, sync_directory, write_whole, writing_whole
from orchestrator.runs.events import append_event
from orchestrator.runs.fence import newest_token
from orchestrator.second_home.catalogue import committed_names, open_there
from orchestrator.second_home.home import NotThereError, SecondHome
from orchestrator.second_home.run_files import RUN_FILES, safe_path, unpack

Value = TypeVar("Value")
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]

_AGAIN_SECONDS = (2.0, 8.0)


def newest_run_files(reach: Callable[[], SecondHome], say: Callable[[str], None]) -> tuple[int, dict[str, bytes]]:
    """What came with the newest checkpoint whose files of the run are whole.

    Args:
        reach: gives the second home.
        say: told of what is damaged there.

    Returns:
        Its step, and the content of each file by its path.

    Raises:
        CheckpointError: there is none.
        InfrastructureError: the second home does not answer.
    """

    def find() -> tuple[int, dict[str, bytes]]:
        home = reach()
        for name in reversed(committed_names(home.files())):
            try:
                return open_there(home, name).step, unpack(_read(home, f"{name}/{RUN_FILES}"), f"{home.url}/{name}/{RUN_FILES}")
            except DamagedError as error:
                say(f"at {home.url}: {error}. The checkpoint before it is looked at.")
        raise CheckpointError(f"{home.url} has no checkpoint that is whole. Give the URL that was checkpoints.second_home of the run.")

    return _again(find, say)


def fetch_newest(
    reach: Callable[[], SecondHome], run: RunDirectory, say: Callable[[str], None], progress: Progress, *, after_step: int = 0
) -> Checkpoint | None:
    """Bring the newest whole checkpoint into a run directory. Its COMMIT comes last here, too (law 2).

    Args:
        reach: gives the second home.
        run: which lacks it.
        say: told of what is damaged there.
        progress: given what is fetched and its bytes, it gives a context with what to call for each piece that has come; that may raise.
        after_step: only one of a later step.

    Returns:
        The checkpoint; none when there is none that is whole.

    Raises:
        ConfigError: the second home is another run's.
        InfrastructureError: the second home does not answer; what has come is kept for the next time.
    """

    def fetch() -> Checkpoint | None:
        sizes = reach().files()
        for name in reversed(committed_names(sizes)):
            if name <= step_directory(Path(), after_step).name:
                return None
            home = reach()  # anew: a failure ends one
            try:
                there = open_there(home, name)
                _check_files(there, sizes)
                return _fetch(home, there, run, progress)
            except DamagedError as error:
                say(f"at {home.url}: {error}. The checkpoint before it is taken.")
                shutil.rmtree(run.checkpoints / name, ignore_errors=True)
        return None

    found = _again(fetch, say)
    if found:
        token = newest_token(run)
        append_event(run, token.attempt if token else 0, "fetched", step=found.step)
    return found


def _fetch(home: SecondHome, there: Checkpoint, run: RunDirectory, progress: Progress) -> Checkpoint:
    name, files = there.directory.name, there.manifest["files"]
    if there.manifest["wandb_id"] != run.wandb_id.read_text(encoding="ascii").strip():
        raise ConfigError(f"{home.url}/{name} is of another run than {run.root}. Set checkpoints.second_home to the place of this one.")
    directory = run.checkpoints / name
    if is_committed(directory):
        quarantine(directory)
    folders = {directory, *((directory / file["path"]).parent for file in files)}
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    with progress(name, sum(file["size_bytes"] for file in files)) as on_bytes:
        home.each(lambda file: _bring(home, name, file, directory, on_bytes), files)
    for folder in {run.root, run.checkpoints, *folders}:
        sync_directory(folder)
    for file in (MANIFEST, COMMIT):
        write_whole(directory / file, _read(home, f"{name}/{file}"))
    return open_checkpoint(directory)


def _bring(home: SecondHome, name: str, file: Mapping[str, Any], directory: Path, on_bytes: Callable[[int], None]) -> None:
    target, path, size = directory / file["path"], f"{name}/{file['path']}", file["size_bytes"]
    if target.is_file() and target.stat().st_size == size and hash_file(target) == file["xxhash"]:
        on_bytes(size)
        return
    digest = xxhash.xxh3_128()
    try:
        with writing_whole(target) as writing:
            for block in home.blocks(path, size):
                digest.update(block)
                writing.write(block)
                on_bytes(len(block))
            if digest.hexdigest() != file["xxhash"]:
                raise DamagedError(f"{path} is damaged: its bytes are not those that were committed")
    except NotThereError as error:
        raise DamagedError(f"{path} is damaged: {error}") from None
    except OSError as error:
        raise InfrastructureError(f"{target} cannot be written: {error}. Free space there, and try again.") from error


def _check_files(there: Checkpoint, sizes: Mapping[str, int]) -> None:
    for file in there.manifest["files"]:
        path = f"{there.directory.name}/{safe_path(file['path'], f'{there.directory.name}/{MANIFEST}')}"
        if sizes.get(path) != file["size_bytes"]:
            size = f"{sizes[path]:,} bytes" if path in sizes else "missing"
            raise DamagedError(f"{path} is damaged: {size}, committed were {file['size_bytes']:,} bytes")


def _read(home: SecondHome, path: str) -> bytes:
    try:
        return home.read(path)
    except NotThereError as error:
        raise DamagedError(f"{path} is damaged: {error}") from None


def _again(action: Callable[[], Value], say: Callable[[str], None]) -> Value:
    for seconds in _AGAIN_SECONDS:
        try:
            return action()
        except InfrastructureError as error:
            say(f"{error} Trying again in {seconds:.0f} s.")
            time.sleep(seconds)
    return action()
