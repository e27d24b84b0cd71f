from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from orchestrator.errors import ConfigError, InfrastructureError
from orchestrator.platforms.kubernetes.client import Api
from orchestrator.platforms.kubernetes.platform import MANIFEST, Kubernetes
from tests.platforms.kubernetes.making import make_job, manifest_of, settings_of

SETTINGS = settings_of("claims={/runs: runs}")


@pytest.fixture
def kubernetes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kubernetes:
    """Of a cluster that does not answer."""
    here = {"name": "here"}
    config = {
        "current-context": "here",
        "contexts": [here | {"context": {"cluster": "here", "user": "here"}}],
        "clusters": [here | {"cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [here | {"user": {}}],
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    return Kubernetes(SETTINGS, Api(pauses=()))


def test_how_jobs_stand_is_unknown_while_the_server_does_not_answer(kubernetes: Kubernetes) -> None:
    found = kubernetes.look({"a": "1", "b": "2"})
    assert [state.phase for state in found.values()] == ["unknown", "unknown"]
    assert "does not answer" in found["a"].why


def test_what_needs_an_answer_fails_without_one(kubernetes: Kubernetes, file: Path) -> None:
    job = make_job(SETTINGS)
    file.write_text(kubernetes.render(job)[MANIFEST])
    asks: list[Callable[[], object]] = [
        lambda: kubernetes.check(job),
        lambda: kubernetes.submit(job, file),
        lambda: kubernetes.find("a"),
        lambda: kubernetes.cancel("a", "1"),
    ]
    for ask in asks:
        with pytest.raises(InfrastructureError, match="does not answer"):
            ask()


def test_what_is_wrong_with_a_manifest_is_said_without_a_server(kubernetes: Kubernetes, file: Path) -> None:
    job = make_job(SETTINGS)
    manifest = manifest_of(job)
    manifest["spec"] |= {
        "backoffLimit": -1,
        "suspend": True,
        "shutdownAfterJobFinishes": False,
        "entrypoint": " ",
        "ttlSecondsAfterFinished": -1,
    }
    manifest["metadata"]["name"] = "No"
    file.write_text(yaml.safe_dump(manifest))
    with pytest.raises(ConfigError, match=r"(?s)would not work:\nmetadata.name='No' .*\nspec.entrypoint is empty.* And 1 more"):
        kubernetes.submit(job, file)


def test_a_template_of_ones_own_is_taken_from_beside(kubernetes: Kubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "launch" / "kubernetes").mkdir(parents=True)
    (tmp_path / "launch" / "kubernetes" / "own.yaml.j2").write_text("kind: {{ rayjob | yaml }}\n")
    monkeypatch.chdir(tmp_path)
    job = make_job(settings_of("template=kubernetes/own.yaml.j2"))
    assert kubernetes.render(job) == {MANIFEST: 'kind: "mine-1"\n'}


def test_a_template_that_quotes_nothing_is_refused(kubernetes: Kubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "launch").mkdir()
    (tmp_path / "launch" / "own.yaml.j2").write_text("kind: {{ rayjob }}\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="without a filter"):
        kubernetes.render(make_job(settings_of("template=own.yaml.j2")))
