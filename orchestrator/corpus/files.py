"""Which files a source is, and how they are grouped into units of work. The grouping depends on the files alone, never on the workers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from orchestrator.corpus.storage import SourceFile, find_files, is_url, state_of
from orchestrator.errors import DataError

Kind = Literal["source", "evaluation set", "probe"]
SUFFIXES = (".txt", ".md", ".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet")
JSONL_SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
_KEYS: Mapping[Kind, str] = {
    "source": "sources.{}.paths",
    "evaluation set": "corpus.evaluation_sets.{}",
    "probe": "evaluation.probes.{}",
}


def list_files(name: str, patterns: Sequence[str], kind: Kind = "source", *, suffixes: tuple[str, ...] = SUFFIXES) -> list[SourceFile]:
    """The files of a source, in the order of the patterns and by path within each; none twice, the first mention counts.

    Args:
        name, kind: of what they are, for messages.
        patterns: files, directories (all known files below), globs, or URLs of these.
        suffixes: of the kinds that it may be.

    Returns:
        Each as it is now.

    Raises:
        OrchestratorError: a pattern matches nothing or cannot be reached, or a file is of no known kind or empty.
    """
    key = _KEYS[kind].format(name)
    files: dict[str, SourceFile] = {}
    for pattern in patterns:
        for file in _matches(f"{kind} {name!r}", key, pattern, suffixes):
            files.setdefault(identity(file), file)
    if empty := [file.path for file in files.values() if file.size_bytes == 0]:
        raise DataError(f"{kind} {name!r}: {empty[0]} is empty (0 bytes). Remove it, or take it out of {key}.")
    return list(files.values())


def identity(file: SourceFile) -> str:
    """What a file is by whatever path, links followed."""
    return file.path if is_url(file.path) else str(Path(file.path).resolve())


def _matches(owner: str, key: str, pattern: str, suffixes: tuple[str, ...]) -> list[SourceFile]:
    matches = find_files(pattern, suffixes)
    if not matches:
        place = pattern if is_url(pattern) else f"{pattern} (from {Path.cwd()})"
        raise DataError(f"{owner}: no file at {place}. Give a file, a folder or a glob of {' '.join(suffixes)} files in {key}.")
    if strange := [file.path for file in matches if not file.path.endswith(suffixes)]:
        raise DataError(f"{owner}: {strange[0]} is none of {' '.join(suffixes)}. Convert it, or take it out of the paths.")
    return matches


def refuse_changed(file: SourceFile) -> None:
    """Make sure that a file is still the one that was listed.

    Raises:
        OrchestratorError: it is another one, or gone.
    """
    now = state_of(file.path)
    if (now.size_bytes, now.version) != (file.size_bytes, file.version):
        raise DataError(
            f"{file.path} changed since it was listed ({file.size_bytes:,} bytes then, {now.size_bytes:,} now). "
            f"Run `midtrain prepare` again when nothing writes to it; complete units are kept."
        )


def into_groups(files: Sequence[SourceFile], group_bytes: int) -> list[tuple[SourceFile, ...]]:
    """Group files in their order, into groups of at least `group_bytes`, the last one excepted.

    Args:
        files: of one source.
        group_bytes: where a group is full.

    Returns:
        Groups that hold every file once, in order.
    """
    groups: list[tuple[SourceFile, ...]] = []
    open_files: list[SourceFile] = []
    open_bytes = 0
    for file in files:
        open_files.append(file)
        open_bytes += file.size_bytes
        if open_bytes >= group_bytes:
            groups.append(tuple(open_files))
            open_files, open_bytes = [], 0
    return [*groups, tuple(open_files)] if open_files else groups
