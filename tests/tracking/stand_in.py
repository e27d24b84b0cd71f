"""A stand-in for the W&B service on this machine: as much of its GraphQL, file stream and uploads as W&B's own client needs to push a run.

It shows what the client sends, and how midtrain fares when a service refuses, fails, hangs or drops lines. What the true service does with
what it gets is not shown by it.
"""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Behaviour = Literal["works", "fails", "hangs", "drops lines", "refuses the key", "refuses artifacts", "answers artifacts with nothing"]


@dataclass(kw_only=True, slots=True)
class PushedRun:
    """What came of a run beside its history.

    Attributes:
        settings: group, tags, name, program and the like, as they came last.
        config: as it came last.
        summary: as it came last.
        samples: of W&B's own figures of the machine.
        alerts: in the order of arrival.
        exit_codes: one each time that the run was finished.
        is_preempting: whether it was said to be before the last finish.
        used: ids of artifacts.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    exit_codes: list[int] = field(default_factory=list)
    is_preempting: bool = False
    used: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class PushedArtifact:
    """A version of an artifact, as its client asked for it: type, name, digest, metadata, and the aliases of each time."""

    kind: str
    name: str
    digest: str
    metadata: dict[str, Any]
    aliases: list[str]


class StandIn(ThreadingHTTPServer):
    """The service, and what it has been sent.

    Attributes:
        behaviour: may be changed at any time.
        runs: the history of each run by its id, in the order of arrival, as it came.
        beside: what else came of each run, by its id.
        artifacts: by id, in the order of arrival.
        uploads: the content of every file that was sent, by its path.
        requests: how many came.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.behaviour: Behaviour = "works"
        self.runs: dict[str, list[dict[str, Any]]] = {}
        self.beside: dict[str, PushedRun] = {}
        self.artifacts: dict[str, PushedArtifact] = {}
        self.uploads: dict[str, bytes] = {}
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
        if operation in ("MidtrainDoctor", "Viewer"):
            return {"viewer": {"id": "k", "username": "keeper", "entity": "team", "flags": "{}", "teams": {"edges": []}}}
        if operation == "RunResumeStatus":
            return {"model": project | {"bucket": self._bucket(str(name)) if name in self.runs else None}}
        if operation == "UpsertBucket":
            is_new = name not in self.runs
            self._upsert(str(name), values)
            return {"upsertBucket": {"bucket": self._bucket(str(name)) | {"project": project}, "inserted": is_new}}
        if operation == "CreateRunFiles":
            files = [{"name": file, "uploadUrl": f"{self.url}/upload/{file}"} for file in values["files"]]
            return {"createRunFiles": {"runID": "x", "uploadHeaders": [], "files": files}}
        if operation == "NotifyScriptableRunAlert":
            self.beside[values["runName"]].alerts.append({key: values[key] for key in ("title", "text", "severity")})
            return {"notifyScriptableRunAlert": {"success": True}}
        if operation == "ServerFeaturesQuery":
            return {"serverInfo": {"features": []}}
        return self._answer_of_artifacts(operation, values.get("input") or values)

    def _answer_of_artifacts(self, operation: str, values: dict[str, Any]) -> dict[str, Any]:
        """A version with a digest that the sequence has already is that version; else there is a new one, with a manifest to be sent."""
        if operation == "CreateArtifact":
            if self.behaviour == "answers artifacts with nothing":
                return {}
            found, is_new = self._artifact(values)
            state = "PENDING" if is_new else "COMMITTED"
            return {"createArtifact": {"artifact": {"id": found, "state": state, "artifactSequence": {"latestArtifact": None}}}}
        if operation in ("CreateArtifactManifest", "UpdateArtifactManifest"):
            file = {"id": "f", "uploadUrl": f"{self.url}/upload/manifests/{values.get('artifactID', 'm')}", "uploadHeaders": []}
            key = operation[0].lower() + operation[1:]
            return {key: {"artifactManifest": {"id": values.get("artifactID") or values.get("artifactManifestID"), "file": file}}}
        if operation == "CommitArtifact":
            artifact_id = values["artifactID"]
            return {"commitArtifact": {"artifact": {"id": artifact_id, "digest": self.artifacts[artifact_id].digest}}}
        if operation == "UseArtifact":
            self.beside[values["runName"]].used.append(values["artifactID"])
            return {"useArtifact": {"artifact": {"id": values["artifactID"]}}}
        if operation == "CreateArtifactFiles":
            return {"createArtifactFiles": {"files": {"edges": [{"node": self._room(file)} for file in values["artifactFiles"]]}}}
        return {"project": None}  # what has asked for the type of an artifact that is not known

    def _artifact(self, values: dict[str, Any]) -> tuple[str, bool]:
        """The id of the version that a client asks for, and whether there was none."""
        aliases = [alias["alias"] for alias in values["aliases"]]
        for artifact_id, artifact in self.artifacts.items():
            if (artifact.name, artifact.digest) == (values["artifactCollectionName"], values["digest"]):
                artifact.aliases.extend(aliases)
                return artifact_id, False
        artifact_id = f"artifact-{len(self.artifacts)}"
        self.artifacts[artifact_id] = PushedArtifact(
            kind=values["artifactTypeName"],
            name=values["artifactCollectionName"],
            digest=values["digest"],
            metadata=json.loads(values.get("metadata") or "{}"),
            aliases=aliases,
        )
        return artifact_id, True

    def _room(self, file: dict[str, Any]) -> dict[str, Any]:
        place = f"artifacts/{file['artifactID']}/{file['name']}"
        address: dict[str, Any] = {"uploadUrl": f"{self.url}/upload/{place}", "uploadHeaders": [], "uploadMultipartUrls": None}
        return {"storagePath": place, "artifact": {"id": file["artifactID"]}} | address

    def _upsert(self, name: str, values: dict[str, Any]) -> None:
        self.runs.setdefault(name, [])
        pushed = self.beside.setdefault(name, PushedRun())
        pushed.settings |= {key: value for key, value in values.items() if value is not None}
        if values.get("config"):
            pushed.config = {key: entry["value"] for key, entry in json.loads(values["config"]).items()}

    def stream(self, wandb_id: str, sent: dict[str, Any]) -> None:
        """A request of a run's file stream."""
        pushed = self.beside[wandb_id]
        pushed.is_preempting |= bool(sent.get("preempting"))
        for name, lines in sent.get("files", {}).items():
            if name == "wandb-history.jsonl":
                self.take(wandb_id, lines["offset"], lines["content"])
            elif name == "wandb-summary.json":
                pushed.summary = json.loads(lines["content"][-1])
            elif name == "wandb-events.jsonl":
                pushed.samples += map(json.loads, lines["content"])
        if sent.get("complete"):
            pushed.exit_codes.append(sent["exitcode"])

    def take(self, wandb_id: str, offset: int, content: list[str]) -> None:
        """Lines of a run's history, which its client numbers."""
        self.runs[wandb_id][offset:] = [json.loads(line) for line in content]

    def _bucket(self, name: str) -> dict[str, Any]:
        history = self.runs[name]
        tail = json.dumps([json.dumps(line) for line in history[-1:]])
        counts = {
            "historyLineCount": len(history),
            "logLineCount": 0,
            "eventsLineCount": len(self.beside[name].samples),
            "historyTail": tail,
            "eventsTail": "[]",
        }
        pushed = self.beside[name]
        config = {key: {"value": value} for key, value in pushed.config.items()}
        kept = {"summaryMetrics": json.dumps(pushed.summary), "config": json.dumps(config), "tags": pushed.settings.get("tags", [])}
        empty: dict[str, Any] = {"notes": None, "description": None, "sweepName": None}
        return {"id": name, "name": name, "displayName": name, "wandbConfig": '{"t": {}}'} | counts | kept | empty


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
            operation = asked.get("operationName") or ""
            if operation == "CreateArtifact" and service.behaviour == "refuses artifacts":
                self._answer({"data": None, "errors": [{"message": "no artifacts today"}]})
                return
            self._answer({"data": service.answer(operation, asked.get("variables") or {})})
        elif service.behaviour == "drops lines":
            self._answer({}, 403)
        else:
            service.stream(self.path.split("/")[4], json.loads(body))
            self._answer({})

    def do_PUT(self) -> None:
        self.server.uploads[self.path.removeprefix("/upload/")] = self._body()
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
