"""What launch/kubernetes/rbac.yaml allows on a real API server, and that it is no more."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from orchestrator.platforms.kubernetes.client import Api, RefusedError, Thing
from orchestrator.platforms.kubernetes.platform import Kubernetes
from orchestrator.platforms.settings import KubernetesSettings
from tests.platforms.kubernetes.conftest import apply
from tests.platforms.kubernetes.making import SMALL, WITHOUT_RAY, make_job, manifest_of, settings_of, without_ray

pytestmark = pytest.mark.clusters

LAUNCHER = {
    "rayjobs": {"create", "get", "list", "delete"},
    "pods": {"list"},
    "events": {"list"},
    "namespaces": {"get"},
    "serviceaccounts": {"get"},
    "persistentvolumeclaims": {"get"},
    "podtemplates": {"create"},
    "localqueues": {"get"},
    "workloads": {"list"},
}


@pytest.fixture(scope="module")
def launcher(api: Api, namespace: str, tmp_path_factory: pytest.TempPathFactory) -> Api:
    """An account to which the Role is bound, as a person's or CI's would be."""
    group = "rbac.authorization.k8s.io"
    apply(api, namespace, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "ci"}})
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "ci"},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "midtrain-launcher"},
        "subjects": [{"kind": "ServiceAccount", "name": "ci", "namespace": namespace}],
    }
    apply(api, namespace, binding)
    return account(api, namespace, "ci", tmp_path_factory.mktemp("ci"))


def account(api: Api, namespace: str, name: str, folder: Path) -> Api:
    """The API server as a service account sees it."""
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    token = api.create(f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", request)["status"]["token"]
    kubeconfig = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    for user in kubeconfig["users"]:
        user["user"] = {"token": token}
    (folder / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(folder / "kubeconfig"))
        theirs = Api()
        theirs.get("/version")
    return theirs


def allowed(api: Api, namespace: str) -> dict[str, set[str]]:
    """What an account may do in a namespace, what everybody may left out."""
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}}
    rules: list[Thing] = api.create("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review)["status"]["resourceRules"]
    found: dict[str, set[str]] = {}
    for rule in rules:
        for resource in rule["resources"]:
            if "authorization.k8s.io" not in rule["apiGroups"] and "authentication.k8s.io" not in rule["apiGroups"]:
                found.setdefault(resource, set()).update(rule["verbs"])
    return found


@pytest.fixture
def settings(namespace: str) -> KubernetesSettings:
    return settings_of("claims={/runs: runs}", f"namespace={namespace}", WITHOUT_RAY, *SMALL)


def test_a_launcher_may_do_what_the_role_says_and_no_more(launcher: Api, namespace: str) -> None:
    assert allowed(launcher, namespace) == LAUNCHER
    assert allowed(launcher, "default") == {}


def test_the_pods_account_may_do_nothing(api: Api, namespace: str, tmp_path: Path) -> None:
    assert allowed(account(api, namespace, "midtrain", tmp_path), namespace) == {}


def test_that_is_enough_to_check_submit_find_look_and_cancel(launcher: Api, settings: KubernetesSettings, file: Path) -> None:
    kubernetes, job = Kubernetes(settings, launcher), make_job(settings, name="allowed")
    kubernetes.check(job)
    file.write_text(yaml.safe_dump(without_ray(manifest_of(job), "sleep 60")))
    name = kubernetes.submit(job, file)
    assert kubernetes.find(job.key) == name
    assert kubernetes.look({name: job.key})[name].phase == "waiting"
    kubernetes.cancel(name, job.key)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/api/v1/namespaces/{}/secrets"),
        ("get", "/api/v1/namespaces/{}/secrets/midtrain"),
        ("get", "/api/v1/namespaces/{}/pods/mine/log"),
        ("get", "/api/v1/namespaces/{}/configmaps"),
        ("get", "/api/v1/nodes"),
        ("get", "/api/v1/namespaces"),
        ("get", "/apis/ray.io/v1/namespaces/default/rayjobs"),
        ("get", "/apis/ray.io/v1/rayjobs"),
        ("create", "/api/v1/namespaces/{}/pods"),
        ("create", "/api/v1/namespaces/{}/pods/mine/exec"),
        ("create", "/apis/ray.io/v1/namespaces/default/rayjobs"),
        ("create", "/apis/ray.io/v1/namespaces/{}/rayclusters"),
        ("create", "/apis/batch/v1/namespaces/{}/jobs"),
        ("create", "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings"),
        ("delete", "/api/v1/namespaces/{}/pods/mine"),
        ("delete", "/api/v1/namespaces/{}/persistentvolumeclaims/runs"),
        ("delete", "/api/v1/namespaces/{}"),
    ],
)
def test_a_launcher_is_forbidden_all_else(method: str, path: str, launcher: Api, namespace: str) -> None:
    asks: dict[str, Callable[[str], object]] = {
        "get": launcher.get,
        "create": lambda place: launcher.create(place, {}),
        "delete": lambda place: launcher.delete(place, "Background"),
    }
    with pytest.raises(RefusedError, match=r"rbac.yaml bound to you") as caught:
        asks[method](path.format(namespace))
    assert caught.value.status == 403


def test_a_launcher_of_one_namespace_is_refused_in_another(launcher: Api, settings: KubernetesSettings, file: Path) -> None:
    elsewhere = replace(settings, namespace="default")
    job = make_job(elsewhere, name="elsewhere")
    file.write_text(yaml.safe_dump(manifest_of(job)))
    with pytest.raises(RefusedError, match="does not allow it"):
        Kubernetes(elsewhere, launcher).submit(job, file)
