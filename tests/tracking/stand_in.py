"""A stand-in for the W&B service on this machine: as much of its GraphQL and of its file stream as W&B's own client needs to push a run.

It shows what the client sends, and how midtrain fares when a service refuses, fails, hangs or drops lines. What the true service does with
what it gets is not shown by it.
"""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Behaviour = Literal["works", "fails", "hangs", "drops lines", "refuses the key"]


class StandIn(ThreadingHTTPServer):
    """The service, and what it has been sent.

    Attributes:
        behaviour: may be changed at any time.
        runs: the history of each run by its id, in the order of arrival, as it came.
        requests: how many came.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.behaviour: Behaviour = "works"
        self.runs: dict[str, list[dict[str, Any]]] = {}
        self.requests = 0
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def steps(self) -> list[int]:
        """The steps of the only run, in the order of arrival."""
        (history,) = self.runs.values()
        return [line["_step"] for line in history]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no news."""

    def answer(self, operation: str, values: dict[str, Any]) -> dict[str, Any]:
        """What GraphQL answers to."""
        name = values.get("name")
        project = {"id": "p", "name": "midtrain", "entity": {"id": "e", "name": "team"}}
        if operation == "MidtrainDoctor":
            return {"viewer": {"username": "keeper"}}
        if operation == "RunResumeStatus":
            return {"model": project | {"bucket": self._bucket(str(name)) if name in self.runs else None}}
        if operation == "UpsertBucket":
            is_new = name not in self.runs
            self.runs.setdefault(str(name), [])
            return {"upsertBucket": {"bucket": self._bucket(str(name)) | {"project": project}, "inserted": is_new}}
        if operation == "CreateRunFiles":
            files = [{"name": file, "uploadUrl": f"{self.url}/upload/{file}"} for file in values["files"]]
            return {"createRunFiles": {"runID": "x", "uploadHeaders": [], "files": files}}
        return {}

    def take(self, wandb_id: str, offset: int, content: list[str]) -> None:
        """Lines of a run's history, which its client numbers."""
        self.runs[wandb_id][offset:] = [json.loads(line) for line in content]

    def _bucket(self, name: str) -> dict[str, Any]:
        history = self.runs[name]
        tail = json.dumps([json.dumps(line) for line in history[-1:]])
        counts = {"historyLineCount": len(history), "logLineCount": 0, "eventsLineCount": 0, "historyTail": tail, "eventsTail": "[]"}
        empty: dict[str, Any] = {"summaryMetrics": "{}", "config": "{}", "tags": [], "notes": None, "description": None, "sweepName": None}
        return {"id": name, "name": name, "displayName": name, "wandbConfig": '{"t": {}}'} | counts | empty


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StandIn

    def do_POST(self) -> None:
        body, service = self._body(), self.server
        service.requests += 1
        if service.behaviour == "hangs":
            service.over.wait()
        elif service.behaviour in ("fails", "refuses the key"):
            self._answer({"errors": []}, 500 if service.behaviour == "fails" else 401)
        elif self.path == "/graphql":
            asked = json.loads(body)
            self._answer({"data": service.answer(asked.get("operationName", ""), asked.get("variables") or {})})
        elif service.behaviour == "drops lines":
            self._answer({}, 403)
        else:
            for name, lines in json.loads(body).get("files", {}).items():
                if name == "wandb-history.jsonl":
                    service.take(self.path.split("/")[4], lines["offset"], lines["content"])
            self._answer({})

    def do_PUT(self) -> None:
        self._body()
        self._answer({})

    def log_message(self, format: str, *args: Any) -> None:
        """Not on the console."""

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _answer(self, value: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """The service for as long as the context lasts."""
    with StandIn() as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        yield service
        service.over.set()
        service.shutdown()
