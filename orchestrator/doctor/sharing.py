"""Whether nodes see the same files: what one writes or replaces, the others read; what they write, it reads."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from orchestrator.checkpoints.ranks import Ranks
from orchestrator.doctor.disk import nearest_directory, probe_folder
from orchestrator.doctor.findings import Finding, at_most, finding
from orchestrator.runs.durable import write_whole

# NFS clients believe what they know of a directory for up to a minute (nfs(5): acdirmax=60): a file that is not seen by then never is.
PATIENCE_SECONDS = 60.0

_LOOK_SECONDS = 0.05
_ENOUGH_SECONDS = 10.0  # a new attempt's fence must be seen before the one before has committed much
_MET = "hello"


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedFacts:
    """What one node sees of what rank 0 writes, and rank 0 of what it writes.

    Attributes:
        seen_seconds: after rank 0 had written a file, until its content was read here; none: it never was.
        replaced_seconds: after rank 0 had put another file of the same name in its place by a rename.
        heard_seconds: after a file was written here, until rank 0 read it.
        error: why nothing could be written here.
    """

    seen_seconds: float | None = None
    replaced_seconds: float | None = None
    heard_seconds: float | None = None
    error: str = ""


def share_files(run: Path, ranks: Ranks, *, is_leader: bool, patience_seconds: float) -> tuple[str, list[SharedFacts | None] | str]:
    """Write and read in a folder that rank 0 makes where the run directory is, or would be. A collective.

    Args:
        run: the run directory.
        ranks: all of them.
        is_leader: whether this rank is the one that looks for its node.
        patience_seconds: how long to wait for what another has written.

    Returns:
        The directory that the folder is made in, and what each rank saw, none for those that did not look; or why it could not be made.
    """
    directory = ranks.broadcast(nearest_directory(run))
    with ExitStack() as stack:
        folder, failure = ranks.broadcast(_made(stack, directory) if ranks.rank == 0 else None)
        if failure:
            return str(directory), str(failure)
        facts = ranks.gather(share(folder, ranks, is_leader=is_leader, patience_seconds=patience_seconds))
    return str(directory), facts


def _made(stack: ExitStack, directory: Path) -> tuple[Path | None, str]:
    """A folder there until the stack is left, or why there is none."""
    try:
        return stack.enter_context(probe_folder(directory)), ""
    except OSError as error:
        return None, error.strerror or type(error).__name__


def share(folder: Path, ranks: Ranks, *, is_leader: bool, patience_seconds: float) -> SharedFacts | None:
    """Write and read by turns in a folder that rank 0 has made; otherwise as `share_files`."""
    is_first = ranks.rank == 0
    seen = _seen(folder / _MET, ranks, looks=is_leader, patience_seconds=patience_seconds)
    again = 0.0 if is_leader and seen is None else patience_seconds  # what is not seen at all is not waited for twice
    replaced = _seen(folder / _MET, ranks, looks=is_leader, patience_seconds=again)
    content = os.urandom(32)
    error = _written(folder / f"from_{ranks.rank}", content) if is_leader else ""
    written = ranks.gather(content if is_leader and not error else None)
    files = {folder / f"from_{rank}": content for rank, content in enumerate(written) if content}
    heard = ranks.broadcast(_seconds_until(files, patience_seconds) if is_first else {})
    if not is_leader:
        return None
    return SharedFacts(seen_seconds=seen, replaced_seconds=replaced, heard_seconds=heard.get(folder / f"from_{ranks.rank}"), error=error)


def _seen(file: Path, ranks: Ranks, *, looks: bool, patience_seconds: float) -> float | None:
    """Have rank 0 write a file, or put another in its place, and wait until it is seen."""
    content = os.urandom(32)
    failure = _written(file, content) if ranks.rank == 0 else ""
    content, failure = ranks.broadcast((content, failure))
    seconds = _seconds_until({file: content}, patience_seconds).get(file) if looks and not failure else None
    ranks.barrier()
    return seconds


def _written(file: Path, content: bytes) -> str:
    """Why a file could not be written; empty: it was."""
    try:
        write_whole(file, content)
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def _seconds_until(files: Mapping[Path, bytes], patience_seconds: float) -> dict[Path, float]:
    """How long it took until each file had its content; those that never had are left out."""
    began, seconds = time.monotonic(), dict[Path, float]()
    while True:
        spent = time.monotonic() - began
        seconds |= {file: spent for file, content in files.items() if file not in seconds and _content(file) == content}
        if len(seconds) == len(files) or spent > patience_seconds:
            return seconds
        time.sleep(_LOOK_SECONDS)


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None


def judge_sharing(facts: Mapping[str, SharedFacts], directory: str, *, patience_seconds: float) -> Iterator[Finding]:
    """Whether all nodes see the run directory as rank 0 does.

    Args:
        facts: of each node, by its name.
        directory: in which was written.
        patience_seconds: how long it was waited for.
    """
    limit = f"{_ENOUGH_SECONDS:.0f} s, at the most {patience_seconds:g} s"
    for where, node in facts.items():
        ways = {
            "rank 0's file read": node.seen_seconds,
            "its replacement": node.replaced_seconds,
            "its own read by rank 0": node.heard_seconds,
        }
        if node.error or None in ways.values():
            remedy = f"Set run.dir to a directory on storage that all nodes mount for writing; {directory} is not, there."
            yield finding("shared storage", where, "bad", _unseen(node, ways, patience_seconds), limit=limit, remedy=remedy)
            continue
        slowest = max(seconds for seconds in ways.values() if seconds is not None)
        value = ", ".join(f"{way} after {seconds:.2f} s" for way, seconds in ways.items())
        remedy = "Files are seen late: mount it with a shorter attribute cache (NFS: actimeo=3), or set run.dir to other storage."
        yield finding("shared storage", where, at_most(slowest, enough=_ENOUGH_SECONDS), value, limit=limit, remedy=remedy)


def _unseen(node: SharedFacts, ways: Mapping[str, float | None], patience_seconds: float) -> str:
    if node.error:
        return f"it cannot write there: {node.error}"
    never: Sequence[str] = [way for way, seconds in ways.items() if seconds is None]
    return f"not within {patience_seconds:g} s: {', '.join(never)}"
