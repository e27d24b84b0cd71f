"""A server between S3 and whoever asks it, which can be told to hang, to fail, or to hang from some write on."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import urlsplit

Behaviour = Literal["works", "hangs", "fails"]


class Fickle:
    """What the server does."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.behaviour: Behaviour = "works"
        self.writes_before_it_hangs: int | None = None
        self.requests = self.writes = 0
        self.is_over = threading.Event()

    def admits(self, method: str) -> Behaviour:
        self.requests += 1
        self.writes += method == "PUT"
        hangs = self.writes_before_it_hangs is not None and self.writes > self.writes_before_it_hangs
        return "hangs" if hangs else self.behaviour


@contextmanager
def between(target: str) -> Iterator[Fickle]:
    """Stand between a server and its clients, on a port of one's own."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        fickle = Fickle(f"http://127.0.0.1:{server.server_port}")
        server.fickle, server.target = fickle, urlsplit(target)  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield fickle
        fickle.is_over.set()
        server.shutdown()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        behaviour = self.server.fickle.admits(self.command)
        if behaviour == "hangs":
            self.server.fickle.is_over.wait()
            self.close_connection = True
        elif behaviour == "fails":
            self._answer(500, [], b"")
        else:
            self._pass_on(body)

    def do_GET(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _pass_on(self, body: bytes) -> None:
        target = http.client.HTTPConnection(self.server.target.hostname, self.server.target.port)
        target.request(self.command, self.path, body, dict(self.headers.items()))
        answer = target.getresponse()
        content = answer.read()
        hop = {"connection", "transfer-encoding", "content-length", "server", "date"}
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in hop]
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        self._answer(answer.status, headers, content, length)
        target.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes, length: str | None = None) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None: ...
