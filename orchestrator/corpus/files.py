"""Which files a source is, and how they are grouped into units of work. The grouping depends on the files alone, never on the workers."""

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import DataError

SUFFIXES = (".txt", ".md", ".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet")


@dataclass(frozen=True, slots=True)
class Unit:
    """Files that become one shard, with their sizes in bytes."""

    files: tuple[tuple[str, int], ...]


def list_files(source_name: str, patterns: Sequence[str]) -> list[tuple[str, int]]:
    """The files of a source, sorted by path within each pattern, none twice.

    Args:
        source_name: for messages.
        patterns: files, directories (all known files below) or globs.

    Returns:
        (path, size in bytes) of each.

    Raises:
        DataError: a pattern matches nothing, or a file is of no known kind or empty.
    """
    matches = {path.resolve(): path for pattern in reversed(patterns) for path in reversed(_matches(source_name, pattern))}
    found = {path: path.stat().st_size for path in reversed(matches.values())}
    for path, size in found.items():
        if size == 0:
            raise DataError(f"source {source_name!r}: {path} is empty (0 bytes). Remove it, or take it out of sources.{source_name}.paths.")
    return [(str(path), size) for path, size in found.items()]


def _matches(source_name: str, pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.is_file():
        matches = [path]
    elif path.is_dir():
        matches = sorted(p for p in path.rglob("*") if p.is_file() and p.name.endswith(SUFFIXES))
    else:
        matches = sorted(p for p in map(Path, glob.glob(str(path), recursive=True)) if p.is_file())  # noqa: PTH207 (the pattern may be absolute)
    if not matches:
        raise DataError(
            f"source {source_name!r}: no file at {pattern} (from {Path.cwd()}). "
            f"Give a file, a folder or a glob of {' '.join(SUFFIXES)} files in sources.{source_name}."
        )
    if strange := [p for p in matches if not p.name.endswith(SUFFIXES)]:
        raise DataError(f"source {source_name!r}: {strange[0]} is none of {' '.join(SUFFIXES)}. Convert it, or take it out of the paths.")
    return matches


def into_units(files: Sequence[tuple[str, int]], unit_bytes: int) -> list[Unit]:
    """Group files in their order into units of at least `unit_bytes`, the last one excepted.

    Args:
        files: (path, size in bytes) of each.
        unit_bytes: where a unit is full.

    Returns:
        Units that hold every file once, in order.
    """
    units: list[Unit] = []
    open_files: list[tuple[str, int]] = []
    for file in files:
        open_files.append(file)
        if sum(size for _, size in open_files) >= unit_bytes:
            units.append(Unit(tuple(open_files)))
            open_files = []
    return [*units, Unit(tuple(open_files))] if open_files else units
