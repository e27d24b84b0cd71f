"""A cluster for the tests that are marked `clusters`: the one that KUBECONFIG leads to, if it has RayJobs."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from orchestrator.errors import OrchestratorError
from orchestrator.platforms.kubernetes.client import Api, Thing
from orchestrator.platforms.kubernetes.parsing import at, mappings
from orchestrator.resources import resource

_PLACES = {
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
}


@pytest.fixture(scope="session")
def api() -> Api:
    if not os.environ.get("KUBECONFIG"):
        _go_without("KUBECONFIG is not set")
    api = Api()
    try:
        kinds = mappings(at(api.get("/apis/ray.io/v1"), "resources"))
    except OrchestratorError as error:
        _go_without(str(error))
    if "rayjobs" not in [kind.get("name") for kind in kinds]:
        _go_without("the cluster that KUBECONFIG leads to has no RayJobs; install KubeRay there")
    return api


def _go_without(why: str) -> None:
    text = f"needs a Kubernetes cluster with KubeRay, whose nodes have 8 GPUs each, as its administrator: {why}"
    if os.environ.get("MIDTRAIN_REQUIRE_CLUSTERS") == "1":
        pytest.fail(text)
    pytest.skip(text)


@pytest.fixture(scope="module")
def namespace(api: Api) -> Iterator[str]:
    """A namespace of the module's own, with what launch/kubernetes/rbac.yaml has, and a claim `runs`."""
    name = f"midtrain-test-{secrets.token_hex(4)}"
    api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for thing in yaml.safe_load_all((resource("launch") / "kubernetes" / "rbac.yaml").read_text()):
        apply(api, name, thing)
    apply(api, name, claim("runs", "ReadWriteMany"))
    yield name
    api.delete(f"/api/v1/namespaces/{name}", "Background")


def apply(api: Api, namespace: str, thing: Thing) -> Thing:
    return api.create(_PLACES[thing["kind"]].format(namespace), thing)


def claim(name: str, mode: str) -> Thing:
    spec = {"accessModes": [mode], "resources": {"requests": {"storage": "1Gi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a manifest is written."""
    return tmp_path / "rayjob.yaml"
