"""What the tests' stores are made of."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from fsspec.implementations.memory import MemoryFileSystem

KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIAMADEUPFORTESTS",
    "AWS_SECRET_ACCESS_KEY": "made-up-secret-for-tests",
    "AWS_SESSION_TOKEN": "made-up-session-for-tests",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}


@contextmanager
def serving(handler: Any) -> Iterator[str]:
    """A web server on a free port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class QuietFiles(SimpleHTTPRequestHandler):
    """Shows a folder."""

    def log_message(self, *_: Any) -> None: ...


class Refusing(BaseHTTPRequestHandler):
    """Refuses everything as S3 does, and repeats all that it was told, secrets included."""

    def do_GET(self) -> None:
        told = f"{self.headers.get('Authorization')} {self.headers.get('X-Amz-Security-Token')} {KEYS['AWS_SECRET_ACCESS_KEY']}"
        body = f"<Error><Code>InvalidAccessKeyId</Code><Message>no such key: {told}</Message></Error>".encode()
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: Any) -> None: ...


class Untold(QuietFiles):
    """Shows a folder and does not tell when its files changed."""

    def send_header(self, keyword: str, value: str) -> None:
        if keyword != "Last-Modified":
            super().send_header(keyword, value)


class Watched(MemoryFileSystem):  # type: ignore[misc]
    """A file system of its own that counts the bytes that are read, and breaks after so many."""

    protocol = "watched"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    bytes_read: ClassVar[int] = 0
    breaks_after: ClassVar[float] = float("inf")

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("watched://")))

    def _open(self, path: str, mode: str = "rb", **others: Any) -> Any:
        file = super()._open(path, mode, **others)
        return _WatchedFile(file) if mode == "rb" else file


class _WatchedFile:
    def __init__(self, file: Any) -> None:
        self._file = file

    def readinto(self, buffer: Any) -> int:
        if Watched.bytes_read >= Watched.breaks_after:
            raise ConnectionResetError("the line went dead")
        count = int(self._file.readinto(buffer))
        Watched.bytes_read += count
        return count

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None: ...
