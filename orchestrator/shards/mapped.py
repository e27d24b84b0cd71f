"""Shard files by memory map, a bounded number of them at a time: a source may have more shards than a process may have maps."""

import errno
import mmap
import os
import resource
from functools import lru_cache
from pathlib import Path

from orchestrator.errors import ShardError


def _most_maps() -> int:
    """As Python keeps a descriptor open for each map, no more than a quarter of those that the process may have; Linux allows a process
    65,530 maps (vm.max_map_count)."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1024 if soft == resource.RLIM_INFINITY else min(1024, max(1, soft // 4))


MOST_MAPS = _most_maps()  # of token files for each that gathers, and of all other files together
_NOT_THE_FILES_FAULT = {errno.EACCES, errno.EPERM, errno.ESTALE, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ETIMEDOUT}


def open_map(path: str, size_bytes: int) -> memoryview:
    """A file's bytes.

    Args:
        path: the file.
        size_bytes: what its manifest says.

    Raises:
        ShardError: it cannot be opened, or has another size.
    """
    try:
        mapped = _map(path)
    except (OSError, ValueError) as error:  # mmap calls an empty file a wrong value
        if isinstance(error, OSError) and error.errno in _NOT_THE_FILES_FAULT:
            raise ShardError(f"{path} cannot be opened ({error}). Make it readable on this node, and call the command again.") from None
        raise ShardError(
            f"{path} cannot be opened ({error}). "
            f"Restore it, or delete its unit marker, {marker_of(path)}, and run `midtrain prepare` again."
        ) from None
    if len(mapped) != size_bytes:
        raise ShardError(
            f"{path} has {len(mapped):,} bytes, its manifest says {size_bytes:,}. "
            f"Delete it and its unit marker, {marker_of(path)}, and run `midtrain prepare` again."
        )
    return memoryview(mapped)


@lru_cache(maxsize=MOST_MAPS)
def map_file(owner: object, path: str, size_bytes: int) -> memoryview:
    """A file's bytes. The one that was used the longest ago is closed when there are too many, and opened again when it is asked for.

    Args:
        owner: who asks, compared by identity; another one looks at the file itself again.
        path, size_bytes: as `open_map` takes them.

    Raises:
        ShardError: as `open_map` does.
    """
    return open_map(path, size_bytes)


def _map(path: str) -> mmap.mmap:
    """Without a file object, which takes longer than all the rest."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        mapped = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    finally:
        os.close(descriptor)
    mapped.madvise(mmap.MADV_RANDOM)  # or each sequence would read its neighbourhood along, a hundred times its size, from a cold disk
    return mapped


def marker_of(path: str) -> str:
    """The name of the marker of the unit that wrote a file: `train_00003.starts.bin` was written by that of `unit_00003.json`."""
    number = Path(path).name.split(".")[0].rpartition("_")[2]
    return f"unit_{number}.json"
