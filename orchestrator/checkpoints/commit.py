"""Saving: every rank takes space, writes and hashes, all wait, the manifest names every file, COMMIT comes last (law 2)."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash

from orchestrator.checkpoints.ranks import Ranks, from_rank_zero
from orchestrator.checkpoints.state_file import RankState, StateFile
from orchestrator.checkpoints.store import COMMIT, MANIFEST, is_committed, step_directory
from orchestrator.errors import CheckpointError
from orchestrator.runs.durable import WrittenFile, sync_directory, write_whole
from orchestrator.training.fragments import KINDS


class SaveFailed(Exception):  # noqa: N818
    """No checkpoint was made, and the run can go on without it: which rank could not write, and why."""


@dataclass(frozen=True, slots=True)
class _Written:
    """What a rank wrote, and the checksums of what is in it."""

    file: WrittenFile
    checksums: Mapping[str, int]


def save_checkpoint(
    checkpoints: Path, step: int, state: RankState, *, facts: Mapping[str, Any], ranks: Ranks, may_commit: Callable[[], bool]
) -> int:
    """Save and commit. A collective, which may run beside training: it takes a copy of the state.

    Args:
        checkpoints: the run's checkpoints directory.
        step: updates made so far.
        state: of this rank.
        facts: what the manifest records beside the files.
        ranks: the others.
        may_commit: whether the run is still this attempt's; asked on rank 0 before anything is touched, and right before COMMIT.

    Returns:
        The bytes of all files.

    Raises:
        SaveFailed: a disk is full, a quota spent, a write failed. What was written is gone; every rank raises it.
        CheckpointError: this step is committed already, or the run is another attempt's.
    """
    directory = step_directory(checkpoints, step)
    from_rank_zero(ranks, lambda: _attempt_on_disk(lambda: _make_room(directory, may_commit)))
    file = StateFile(directory, ranks.rank, state)
    try:
        _on_every_rank(ranks, file.reserve)
        written = _on_every_rank(ranks, lambda: _Written(file.write(), state.checksums()))
        from_rank_zero(ranks, lambda: _attempt_on_disk(lambda: _commit(directory, step, facts, written, may_commit)))
    except SaveFailed:
        file.remove()
        raise
    return sum(entry.file.size_bytes for entry in written)


def _on_every_rank(ranks: Ranks, action: Callable[[], Any]) -> list[Any]:
    """What an action gave on each rank, on every rank.

    Raises:
        SaveFailed: on some rank there was an error of the disk; every rank raises it.
    """
    try:
        result, failure = action(), None
    except OSError as error:
        result, failure = None, f"rank {ranks.rank}: {error}"
    everyones = ranks.gather((result, failure))
    if failures := [failure for _, failure in everyones if failure]:
        raise SaveFailed("; ".join(failures[:3]))
    return [result for result, _ in everyones]


def _attempt_on_disk(action: Callable[[], None]) -> None:
    try:
        action()
    except OSError as error:
        raise SaveFailed(f"rank 0: {error}") from None


def _make_room(directory: Path, may_commit: Callable[[], bool]) -> None:
    """An empty directory for the save. What an interrupted save left there has no COMMIT, so it is no checkpoint and goes."""
    _refuse_another_attempts(directory, may_commit)
    if is_committed(directory):
        raise CheckpointError(f"{directory} is committed already, and a checkpoint is never overwritten.")
    if directory.exists():
        shutil.rmtree(directory)
    directory.mkdir(parents=True)


def _commit(directory: Path, step: int, facts: Mapping[str, Any], written: list[_Written], may_commit: Callable[[], bool]) -> None:
    files = [entry.file for entry in written]
    listed = [{"path": file.path, "size_bytes": file.size_bytes, "xxhash": file.xxhash} for file in files]
    checksums = {kind: sum(entry.checksums[kind] for entry in written) % (1 << 64) for kind in KINDS}
    for folder in {directory, directory.parent, *((directory / file.path).parent for file in files)}:
        sync_directory(folder)
    manifest = json.dumps({"step": step, **facts, "checksums": checksums, "files": listed}, indent=2).encode() + b"\n"
    write_whole(directory / MANIFEST, manifest)
    _refuse_another_attempts(directory, may_commit)
    commit = {"step": step, "manifest": xxhash.xxh3_128_hexdigest(manifest)}
    write_whole(directory / COMMIT, json.dumps(commit).encode() + b"\n")


def _refuse_another_attempts(directory: Path, may_commit: Callable[[], bool]) -> None:
    if not may_commit():
        raise CheckpointError(f"{directory} was not committed: another attempt has taken the run over.")
