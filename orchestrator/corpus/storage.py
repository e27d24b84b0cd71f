"""Files where they lie: on a disk, or behind any URL that fsspec can open. The one door to fsspec."""

import glob
import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.config.secrets import without_secrets
from orchestrator.errors import ConfigError, DataError, InfrastructureError, OrchestratorError

_VERSIONS = (  # what stores call that which changes with the content, the surest first
    *("ETag", "etag", "blob_id", "sha", "Content-MD5", "md5Hash", "checksum", "mtime"),
    *("LastModified", "last_modified", "Last-Modified", "updated", "modified", "created"),
)
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}  # protocol -> extra of midtrain that brings its package


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file as it was when it was listed.

    Attributes:
        path: absolute, or a URL.
        size_bytes: on disk or in the store, compressed or not.
        version: becomes another one when the content does: the modification time, or what the store has for it, such as an ETag.
    """

    path: str
    size_bytes: int
    version: str


def is_url(path: str) -> bool:
    """Whether a path is for fsspec to open."""
    return "://" in path


def find_files(pattern: str, suffixes: tuple[str, ...]) -> list[SourceFile]:
    """What a path, directory, glob or URL of one of these stands for.

    Args:
        pattern: a URL that ends in `/` is a directory, also where the store cannot tell.
        suffixes: which files of a directory are meant; a file or glob means what it says.

    Returns:
        The files, sorted by path; none when there are none.

    Raises:
        OrchestratorError: the place cannot be reached or may not be read, or a package is missing.
    """
    pattern = pattern.removeprefix("file://")
    with _failures_of(pattern):
        return _remote_files(pattern, suffixes) if is_url(pattern) else _local_files(pattern, suffixes)


def state_of(path: str) -> SourceFile:
    """A file as it is now.

    Raises:
        OrchestratorError: it is gone, cannot be reached or may not be read.
    """
    with _failures_of(path):
        if is_url(path):
            filesystem, inner = filesystem_of(path)
            filesystem.invalidate_cache()
            return _source_file(filesystem, filesystem.info(inner))
        found = Path(path).stat()
        return SourceFile(path, found.st_size, str(found.st_mtime_ns))


def open_file(path: str, *, in_order: bool) -> io.RawIOBase:
    """Open a file to read its bytes.

    Args:
        path: absolute, or a URL.
        in_order: it is read from its start to its end; otherwise only what is asked for is fetched.

    Returns:
        A file whose failures, also later ones, are errors that name it, so that no reader takes them for faults in the data.

    Raises:
        OrchestratorError: it is gone, cannot be reached or may not be read.
    """
    with _failures_of(path):
        if not is_url(path):
            return _ReportingFile(path, Path(path).open("rb", buffering=0))
        filesystem, inner = filesystem_of(path)
        return _ReportingFile(path, filesystem.open(inner, "rb", **({} if in_order else {"cache_type": "none"})))


class _ReportingFile(io.RawIOBase):
    """Another file, whose failures are errors of ours."""

    def __init__(self, path: str, file: Any) -> None:
        self._path, self._file = path, file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _failures_of(self._path):
            return int(self._file.readinto(buffer))

    def seek(self, offset: int, whence: int = 0) -> int:
        with _failures_of(self._path):
            return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        super().close()
        self._file.close()


def _local_files(pattern: str, suffixes: tuple[str, ...]) -> list[SourceFile]:
    path = Path(pattern)
    if path.is_file():
        found = [path]
    elif path.is_dir():
        found = [below for below in _files_below(path) if below.name.endswith(suffixes)]
    else:
        matches = map(Path, glob.glob(pattern, recursive=True))  # noqa: PTH207 (the pattern may be absolute)
        found = [match for match in matches if not match.is_dir()]
    return [state_of(str(file)) for file in sorted(found)]


def _files_below(folder: Path) -> Iterator[Path]:
    """All but folders, with links that lead nowhere, for whoever looks at them to tell. Links to folders are followed, each folder once.

    Raises:
        OrchestratorError: a folder may not be read.
    """
    seen = set[tuple[int, int]]()
    for root, folders, names in os.walk(folder, followlinks=True, onerror=_tell):
        facts = Path(root).stat()
        if (facts.st_dev, facts.st_ino) in seen:
            folders.clear()
            continue
        seen.add((facts.st_dev, facts.st_ino))
        yield from (Path(root, name) for name in names)


def _tell(error: OSError) -> None:
    with _failures_of(str(error.filename)):
        raise error


def _remote_files(url: str, suffixes: tuple[str, ...]) -> list[SourceFile]:
    filesystem, path = filesystem_of(url)
    filesystem.invalidate_cache()
    facts = {"type": "directory"} if url.endswith("/") else _facts_or_none(filesystem, path)
    if facts is None:
        found = _listed(filesystem.glob, path)
    elif facts["type"] == "directory":
        told = {"on_error": "raise"} if url.startswith("http") else {}  # stores with flat listings always tell, and take no such word
        found = [below for below in _listed(filesystem.find, path, **told) if below["name"].endswith(suffixes)]
    else:
        found = [facts]
    return [_source_file(filesystem, facts) for facts in sorted(found, key=lambda facts: str(facts["name"]).split("/"))]


def _facts_or_none(filesystem: Any, path: str) -> dict[str, Any] | None:
    try:
        return dict(filesystem.info(path))
    except FileNotFoundError as error:
        if _behind(error) is error:
            return None
        raise


def _listed(listing: Any, path: str, **told: str) -> list[dict[str, Any]]:
    try:
        return [facts for facts in listing(path, detail=True, **told).values() if facts.get("type") == "file"]
    except FileNotFoundError as error:
        if _behind(error) is error:
            return []
        raise


def _source_file(filesystem: Any, facts: Mapping[str, Any]) -> SourceFile:
    if facts.get("size") is None or not _version(facts):
        facts = filesystem.info(facts["name"])
    url, size, version = filesystem.unstrip_protocol(facts["name"]), facts.get("size"), _version(facts)
    if size is None or not version:
        what = "size" if size is None else "version (an ETag or a time of change), so that a change of it would go unseen"
        raise DataError(f"{url}: its server does not tell its {what}. Copy it to a disk or an object store.")
    return SourceFile(url, int(size), version)


def _version(facts: Mapping[str, Any]) -> str:
    return next((f"{key}={facts[key]}" for key in _VERSIONS if facts.get(key)), "")


def filesystem_of(url: str, **options: Any) -> tuple[Any, str]:
    """The file system of a URL and the path within it. Credentials are its own business, and in the environment.

    Args:
        url: of one place, not several chained.
        options: of the file system.

    Raises:
        ConfigError: fsspec knows no such protocol, or a package is missing.
    """
    from fsspec.core import url_to_fs

    protocol = url.partition("://")[0]
    if "::" in url:
        raise ConfigError(f"{url} chains several URLs, which no other process could open again. Give the URL of the files themselves.")
    try:
        filesystem, path = url_to_fs(url, **options)
    except ImportError as error:
        remedy = f"Run: pip install 'midtrain[{_EXTRAS[protocol]}]'" if protocol in _EXTRAS else "Do so wherever it is opened."
        raise ConfigError(f"{url} cannot be opened for want of a package: {error}. {remedy}") from None
    except ValueError as error:
        raise ConfigError(f"{url} cannot be opened: {error}. Use a protocol that fsspec knows, such as s3, gs or https.") from None
    return filesystem, path


@contextmanager
def _failures_of(path: str) -> Iterator[None]:
    """Whatever a disk, a network or a store raises becomes one error that names the file."""
    try:
        yield
    except OrchestratorError:
        raise
    except Exception as error:  # each store has exceptions of its own
        raise _as_ours(path, _behind(error)) from None


def _behind(error: Exception) -> Exception:
    """The failure itself: over HTTP, fsspec calls every one a file that is not found."""
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and isinstance(cause, Exception) and not isinstance(cause, FileNotFoundError):
        return cause if isinstance(cause, OSError) or getattr(cause, "status", 404) != 404 else error
    return error


def _as_ours(path: str, error: Exception) -> OrchestratorError:
    said = without_secrets(f"{type(error).__name__}: {error}".removesuffix("."), os.environ)
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path} cannot be read: it is not there. Restore it, or take it out of the paths.")
    if not is_url(path):
        said = getattr(error, "strerror", None) or said
        return DataError(f"{path} cannot be read: {said}. Restore it or its permissions, or take it out of the paths.")
    if isinstance(error, PermissionError) or "Credential" in said or getattr(error, "status", None) in (401, 403):
        return DataError(
            f"{path} may not be read ({said}). Set credentials that may in the environment, such as AWS_ACCESS_KEY_ID and "
            f"AWS_SECRET_ACCESS_KEY, or take it out of the paths."
        )
    return InfrastructureError(f"{path} cannot be read ({said}). Run again when network and server answer; complete units are kept.")
