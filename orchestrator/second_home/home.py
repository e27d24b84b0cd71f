"""A place behind a URL: what is there, and reads, writes and deletes, each of which gets its answer in time or is an error."""

import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import xxhash

from orchestrator.config.secrets import without_secrets
from orchestrator.corpus.storage import filesystem_of
from orchestrator.errors import InfrastructureError, OrchestratorError

Item = TypeVar("Item")
Value = TypeVar("Value")

_BLOCK_BYTES = 1 << 23
_MOST_BLOCKS = 9_000  # of a file; S3 takes 10,000
_PARALLEL = 8
_STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "memory")  # no folders there, and a file appears when it is whole


class NotThereError(InfrastructureError):
    """There is no such file, or no such bucket."""


class SecondHome:
    """A place, reached anew: what an earlier one waits for does not hold it up. Paths are relative to it."""

    def __init__(self, url: str, *, answer_seconds: float) -> None:
        """
        Args:
            url: that fsspec can open; nothing is asked of it here.
            answer_seconds: how long each request may take.

        Raises:
            ConfigError: fsspec knows no such protocol, or a package is missing.
        """
        self.url, self._answer_seconds = url.rstrip("/"), answer_seconds
        self._fs, self._root = filesystem_of(self.url, skip_instance_cache=True)
        self._has_folders = url.partition("://")[0] not in _STORES
        self._over = threading.Event()

    def files(self) -> dict[str, int]:
        """The size in bytes of every file."""
        self._fs.invalidate_cache()
        try:
            found = self._ask("", lambda: self._fs.find(self._root, detail=True))
        except NotThereError:
            return {}
        return {name[len(self._root) :].lstrip("/"): facts["size"] for name, facts in found.items()}

    def read(self, path: str) -> bytes:
        """A file that fits into memory.

        Raises:
            NotThereError: it is gone.
        """
        content: bytes = self._ask(path, lambda: self._fs.cat_file(self._at(path)))
        return content

    def blocks(self, path: str, size_bytes: int) -> Iterator[bytes]:
        """A file, block by block, up to a size.

        Raises:
            NotThereError: it is gone.
        """
        for start in range(0, size_bytes, _BLOCK_BYTES):
            end = min(start + _BLOCK_BYTES, size_bytes)
            yield self._ask(path, lambda start=start, end=end: self._fs.cat_file(self._at(path), start=start, end=end))  # type: ignore[misc]

    def holds(self, path: str, size_bytes: int, xxh3_128: str) -> bool:
        """Whether a file has these bytes: it is read back."""
        self._fs.invalidate_cache()
        try:
            if self._ask(path, lambda: self._fs.info(self._at(path)))["size"] != size_bytes:
                return False
            digest = xxhash.xxh3_128()
            for block in self.blocks(path, size_bytes):
                digest.update(block)
        except NotThereError:
            return False
        return digest.hexdigest() == xxh3_128

    def write(self, path: str, blocks: Iterable[bytes], size_bytes: int) -> None:
        """Write a file, which appears when it is whole.

        Args:
            path: where; a file that is there is replaced.
            blocks: its content.
            size_bytes: of all of it.
        """
        at = self._at(path)
        if self._has_folders:
            self._ask(path, lambda: self._fs.makedirs(at.rpartition("/")[0], exist_ok=True))
        written = f"{at}.partial" if self._has_folders else at
        part_bytes = max(_BLOCK_BYTES, math.ceil(size_bytes / _MOST_BLOCKS))
        file = self._ask(path, lambda: self._fs.open(written, "wb", block_size=part_bytes))
        try:
            for block in blocks:
                self._ask(path, lambda block=block: file.write(block))  # type: ignore[misc]
            self._ask(path, file.close)
        except BaseException:
            with suppress(AttributeError):
                file.closed = True  # or fsspec would finish it when it is collected, torn, over what may be whole by then
            raise
        if self._has_folders:
            self._ask(path, lambda: self._fs.mv(written, at))

    def delete(self, path: str) -> None:
        """Delete a file."""
        self._ask(path, lambda: self._fs.rm_file(self._at(path)))

    def delete_below(self, path: str) -> None:
        """Delete all that is below a path."""
        self._fs.invalidate_cache()
        with suppress(NotThereError):
            self._ask(path, lambda: self._fs.rm(self._at(path), recursive=True))

    def each(self, action: Callable[[Item], Value], items: Sequence[Item]) -> list[Value]:
        """Do something with each of many, some at a time. When one fails, the others end at their next request, and so does this place."""
        with ThreadPoolExecutor(_PARALLEL) as pool:
            futures = [pool.submit(action, item) for item in items]
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
                return [future.result() for future in futures]
            except BaseException:
                self._over.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _at(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{path}"

    def _ask(self, path: str, request: Callable[[], Any]) -> Any:
        """Make a request in a thread of its own, which is left behind when no answer comes."""
        place = f"{self.url}/{path}".rstrip("/")
        if self._over.is_set():
            raise InfrastructureError(f"{place}: given up, as another file has failed.")
        answer: SimpleQueue[tuple[Any, Exception | None]] = SimpleQueue()

        def work() -> None:
            try:
                answer.put((request(), None))
            except Exception as error:  # each store has exceptions of its own
                answer.put((None, error))

        threading.Thread(target=work, daemon=True).start()
        try:
            value, error = answer.get(timeout=self._answer_seconds)
        except Empty:
            raise InfrastructureError(f"{place}: no answer within checkpoints.answer_seconds={self._answer_seconds:g}.") from None
        if error is not None:
            raise _as_ours(place, error)
        return value


def _as_ours(place: str, error: Exception) -> OrchestratorError:
    said = " ".join(without_secrets(f"{type(error).__name__}: {error}", os.environ).split()).removesuffix(".")
    return NotThereError(f"{place}: {said}.") if isinstance(error, FileNotFoundError) else InfrastructureError(f"{place}: {said}.")
