"""Against a server of this test's own that answers as it is told: a real one cannot be made to fail at the right moment."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from orchestrator.errors import ConfigError, InfrastructureError
from orchestrator.platforms.kubernetes.client import Api, RefusedError

TOKEN = "a-token-that-nobody-may-read"


@contextmanager
def api_server(*answers: tuple[int, str]) -> Iterator[tuple[str, list[str]]]:
    """Its address, and what it was asked; the last answer is given again and again."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            status, text = answers[min(len(asked), len(answers) - 1)]
            asked.append(f"{self.command} {self.path} {self.headers['authorization']}")
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_DELETE = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def use(address: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kubeconfig that leads there."""
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": {"server": address}}],
        "users": [{"name": "me", "user": {"token": TOKEN}}],
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(folder / "kubeconfig"))


def said(status: int, message: str) -> tuple[int, str]:
    return status, json.dumps({"kind": "Status", "message": message})


THING = (200, '{"items": [{"metadata": {"name": "a"}}]}')


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_cannot_answer_now_is_asked_again(status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with api_server(said(status, "later"), said(status, "later"), THING) as (address, asked):
        use(address, tmp_path, monkeypatch)
        assert Api(pauses=(0, 0)).items("/api/v1/pods", labelSelector="a=b c") == [{"metadata": {"name": "a"}}]
    assert asked == [f"GET /api/v1/pods?labelSelector=a%3Db+c Bearer {TOKEN}"] * 3


def test_a_server_that_never_answers_is_an_error_of_infrastructure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with api_server(said(503, "etcd is down")) as (address, asked):
        use(address, tmp_path, monkeypatch)
        with pytest.raises(InfrastructureError, match=r"does not answer: 503: etcd is down\. .*readyz"):
            Api(pauses=(0, 0)).create("/api/v1/pods", {})
    assert len(asked) == 3


def test_a_server_that_is_not_there_is_an_error_of_infrastructure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with api_server(THING) as (address, _):
        pass
    use(address, tmp_path, monkeypatch)
    with pytest.raises(InfrastructureError, match=r"does not answer: .*refused") as caught:
        Api(pauses=()).get("/api")
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "remedy"),
    [(401, "Log in again"), (403, "rbac.yaml"), (422, "what it names"), (409, "there already")],
)
def test_a_refusal_has_the_servers_words_and_a_remedy_and_is_not_repeated(
    status: int, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with api_server(said(status, "it is there already")) as (address, asked):
        use(address, tmp_path, monkeypatch)
        with pytest.raises(RefusedError, match=remedy) as caught:
            Api(pauses=(0,)).create("/api/v1/pods", {"a": 1})
    assert caught.value.status == status
    assert TOKEN not in str(caught.value)
    assert len(asked) == 1


@pytest.mark.parametrize("answer", [said(404, "not found"), (404, "404 page not found\n")])
def test_what_is_not_there_is_nothing(answer: tuple[int, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with api_server(answer) as (address, _):
        use(address, tmp_path, monkeypatch)
        api = Api(pauses=())
        assert api.get("/a") is None
        assert api.items("/a") == []
        assert api.delete("/a", "Foreground") is False


def test_what_is_no_api_server_is_said_to_be_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with api_server((200, "<html>Welcome</html>")) as (address, _):
        use(address, tmp_path, monkeypatch)
        with pytest.raises(InfrastructureError, match="no JSON; is it an API server"):
            Api(pauses=()).get("/api")


def test_without_a_kubeconfig_the_message_says_how_to_give_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"launch.context=null leads to no Kubernetes cluster: .* Set KUBECONFIG"):
        Api().get("/api")


def test_a_context_that_there_is_not_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use("http://127.0.0.1:1", tmp_path, monkeypatch)
    with pytest.raises(ConfigError, match=r"launch.context=elsewhere leads to no Kubernetes cluster"):
        Api("elsewhere").get("/api")


def test_without_the_package_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.platforms.kubernetes.client.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'midtrain\[kubernetes\]'"):
        Api()
