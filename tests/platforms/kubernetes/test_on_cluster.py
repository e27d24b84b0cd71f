"""A run's life on a real API server; where the operator is the lab's, no Ray is started."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.errors import ConfigError
from orchestrator.platforms.job import Job, JobState
from orchestrator.platforms.kubernetes.client import Api
from orchestrator.platforms.kubernetes.platform import Kubernetes
from orchestrator.platforms.kubernetes.schema import rayjobs_path
from orchestrator.platforms.settings import KubernetesSettings
from orchestrator.runs.directory import RunDirectory
from tests.platforms.kubernetes.conftest import apply, claim
from tests.platforms.kubernetes.making import SMALL, WITHOUT_RAY, make_job, manifest_of, settings_of, without_ray

pytestmark = pytest.mark.clusters
QUEUES = "localqueues.kueue.x-k8s.io"


@pytest.fixture
def settings(namespace: str) -> KubernetesSettings:
    return settings_of("claims={/runs: runs}", f"namespace={namespace}", WITHOUT_RAY, "max_retries=0", *SMALL)


@pytest.fixture
def kubernetes(settings: KubernetesSettings, api: Api) -> Kubernetes:
    return Kubernetes(settings, api)


def write(file: Path, job: Job, entrypoint: str, **changes: Any) -> Path:
    manifest = without_ray(manifest_of(job), entrypoint)
    manifest["spec"] |= changes
    file.write_text(yaml.safe_dump(manifest))
    return file


def wait_for(kubernetes: Kubernetes, job: str, wanted: Callable[[JobState], bool], seconds: float = 60) -> JobState:
    deadline = time.monotonic() + seconds
    while not wanted(state := kubernetes.look({job: f"key-of-{job.removesuffix('-1')}"})[job]):
        assert time.monotonic() < deadline, state
        time.sleep(0.2)
    return state


def test_a_job_is_checked_submitted_found_looked_at_and_done(settings: KubernetesSettings, kubernetes: Kubernetes, file: Path) -> None:
    job = make_job(settings, name="whole", ranks=4)
    kubernetes.check(job)
    assert kubernetes.find(job.key) is None
    name = kubernetes.submit(job, write(file, job, "sleep 2"))
    assert kubernetes.find(job.key) == name == "whole-1"
    assert kubernetes.look({name: job.key, "none": "a"})["none"].phase == "gone"
    running = wait_for(kubernetes, name, lambda state: state.phase == "running")
    assert running.nodes.startswith("node-")
    assert wait_for(kubernetes, name, lambda state: state.phase == "ended").word == "SUCCEEDED"


def test_a_job_that_is_submitted_twice_is_there_once(settings: KubernetesSettings, kubernetes: Kubernetes, api: Api, file: Path) -> None:
    job = make_job(settings, name="twice")
    names = [kubernetes.submit(job, write(file, job, "sleep 60")) for _ in range(2)]
    assert names == ["twice-1", "twice-1"]
    kubernetes.check(job)
    found = api.items(rayjobs_path(settings.namespace), labelSelector=f"midtrain/key={job.key}")
    assert len(found) == 1
    kubernetes.cancel("twice-1", "key-of-twice")


def test_a_job_that_fails_says_so(settings: KubernetesSettings, kubernetes: Kubernetes, file: Path) -> None:
    job = make_job(settings, name="failing")
    kubernetes.submit(job, write(file, job, "exit 3"))
    state = wait_for(kubernetes, "failing-1", lambda state: state.phase == "ended")
    assert (state.word, state.why) == ("Failed", "AppFailed")


def test_a_deadline_that_is_over_is_the_reason(settings: KubernetesSettings, kubernetes: Kubernetes, file: Path) -> None:
    job = make_job(settings, name="late")
    kubernetes.submit(job, write(file, job, "sleep 60", activeDeadlineSeconds=1))
    state = wait_for(kubernetes, "late-1", lambda state: state.phase == "ended")
    assert state.why.startswith("DeadlineExceeded: ")


def test_more_gpus_than_a_node_has_are_refused_and_submitted_nevertheless_they_are_the_reason_to_wait(
    settings: KubernetesSettings, kubernetes: Kubernetes, file: Path
) -> None:
    job = make_job(replace(settings, ranks_per_node=16, cpus_per_node="16"), name="large", ranks=16, gpus=1)
    with pytest.raises(
        ConfigError, match=r"ranks_per_node=16 takes 16 of nvidia.com/gpu on a node, and no node has more than 8\. Lower it"
    ):
        kubernetes.check(job)
    kubernetes.submit(job, write(file, job, "true"))
    state = wait_for(kubernetes, "large-1", lambda state: bool(state.why) and state.word != "New")
    assert state.phase == "waiting"
    assert "Insufficient nvidia.com/gpu" in state.why
    kubernetes.cancel("large-1", "key-of-large")


def test_a_job_that_is_cancelled_runs_until_its_pods_are_gone_and_then_is_gone(
    settings: KubernetesSettings, kubernetes: Kubernetes, file: Path
) -> None:
    job = make_job(settings, name="unwanted")
    kubernetes.submit(job, write(file, job, "sleep 60"))
    wait_for(kubernetes, "unwanted-1", lambda state: state.phase == "running")
    kubernetes.cancel("unwanted-1", "key-of-unwanted")
    assert kubernetes.look({"unwanted-1": "key-of-unwanted"})["unwanted-1"].word in ("Deleting", "")
    wait_for(kubernetes, "unwanted-1", lambda state: state.phase == "gone")
    kubernetes.cancel("unwanted-1", "key-of-unwanted")


def test_a_job_that_is_suspended_waits_and_says_why(settings: KubernetesSettings, kubernetes: Kubernetes, file: Path) -> None:
    job = make_job(settings, name="suspended")
    kubernetes.submit(job, write(file, job, "true", suspend=True))
    state = wait_for(kubernetes, "suspended-1", lambda state: state.word == "Suspended")
    assert (state.phase, state.why) == ("waiting", "it was suspended by hand; set spec.suspend to false, and it goes on")
    kubernetes.cancel("suspended-1", "key-of-suspended")


def test_a_secret_that_is_missing_is_the_reason_to_wait(settings: KubernetesSettings, kubernetes: Kubernetes, file: Path) -> None:
    secret = settings_of("secrets.HF_TOKEN.name=absent", "secrets.HF_TOKEN.key=hf").secrets
    job = make_job(replace(settings, secrets=secret), name="unsecret")
    kubernetes.submit(job, write(file, job, "true"))
    assert 'secret "absent" not found' in wait_for(kubernetes, "unsecret-1", lambda state: "secret" in state.why).why
    kubernetes.cancel("unsecret-1", "key-of-unsecret")


def test_the_name_of_another_run_is_refused_and_its_directory_named(
    settings: KubernetesSettings, kubernetes: Kubernetes, file: Path
) -> None:
    theirs = make_job(settings, name="taken", runs=(RunDirectory(Path("/runs/theirs")),), key="theirs")
    kubernetes.submit(theirs, write(file, theirs, "true"))
    ours = make_job(settings, name="taken", key="ours")
    with pytest.raises(ConfigError, match=r"has a RayJob taken-1 already, of run directory /runs/theirs"):
        kubernetes.check(ours)
    with pytest.raises(ConfigError, match=r"kubectl delete rayjob .* taken-1"):
        kubernetes.submit(ours, write(file, ours, "true"))
    kubernetes.cancel("taken-1", "key-of-taken")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"namespace": "none-such"}, "launch.namespace=none-such: there is no such namespace"),
        ({"service_account": "nobody"}, "launch.service_account=nobody: .*kubectl apply"),
        ({"claims": {"/runs": "none"}}, "launch.claims has none, and namespace .* has no such claim"),
        ({"claims": {"/runs": "single"}}, "launch.claims has single, whose access modes are ReadWriteOnce"),
        ({"claims": {"/runs": "published"}}, "whose access modes are ReadOnlyMany: .* Name a claim with ReadWriteMany"),
        ({"priority_class": "none-such"}, "launch.priority_class=none-such: there is no such class"),
        ({"queue": "research"}, "launch.queue=research: Kueue is not installed, so the run would be suspended for good"),
        ({"cpus_per_node": "65"}, "launch.cpus_per_node=65 takes 65 of cpu on a node, and no node has more than 64"),
        ({"memory_per_node": "1Ti"}, "launch.memory_per_node=1Ti takes 1Ti of memory on a node, and no node has more than 256Gi"),
        ({"resources": {"rdma/hca": 1}}, r"launch.resources.rdma/hca=1 takes 1 of rdma/hca on a node, and no node has more than 0"),
    ],
)
def test_what_the_cluster_does_not_have_is_refused(
    changes: dict[str, Any], said: str, settings: KubernetesSettings, api: Api, claims: None
) -> None:
    wanted = replace(settings, **changes)
    with pytest.raises(ConfigError, match=said):
        Kubernetes(wanted, api).check(make_job(wanted, name="refused"))


@pytest.fixture(scope="module")
def claims(api: Api, namespace: str) -> None:
    for name, mode in (("single", "ReadWriteOnce"), ("published", "ReadOnlyMany")):
        apply(api, namespace, claim(name, mode))


def test_data_that_is_only_read_may_be_on_a_claim_that_can_only_be_read(settings: KubernetesSettings, api: Api, claims: None) -> None:
    wanted = replace(settings, claims={"/runs": "runs", "/data": "published"})
    Kubernetes(wanted, api).check(make_job(wanted, name="reading"))


def test_nodes_that_are_made_on_demand_are_not_judged(settings: KubernetesSettings, api: Api) -> None:
    wanted = replace(settings, node_selector={"pool": "h100"}, resources={"rdma/hca": 1})
    Kubernetes(wanted, api).check(make_job(wanted, name="on-demand"))


def test_a_queue_that_there_is_not_is_refused_and_one_that_there_is_is_not(
    settings: KubernetesSettings, api: Api, namespace: str, queues: None
) -> None:
    there, absent = replace(settings, queue="research"), replace(settings, queue="none-such")
    with pytest.raises(ConfigError, match=r"launch.queue=none-such: namespace .* has no such queue"):
        Kubernetes(absent, api).check(make_job(absent, name="queued"))
    Kubernetes(there, api).check(make_job(there, name="queued"))


@pytest.fixture
def queues(api: Api, namespace: str) -> Iterator[None]:
    """Kueue's queues, without Kueue."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    names = {"plural": "localqueues", "singular": "localqueue", "kind": "LocalQueue"}
    version = {"name": "v1beta1", "served": True, "storage": True, "schema": schema}
    spec = {"group": "kueue.x-k8s.io", "names": names, "scope": "Namespaced", "versions": [version]}
    metadata = {"name": QUEUES, "annotations": {"api-approved.kubernetes.io": "unapproved, a test's"}}
    kinds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    api.create(kinds, {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": metadata, "spec": spec})
    place = f"/apis/kueue.x-k8s.io/v1beta1/namespaces/{namespace}/localqueues"
    deadline = time.monotonic() + 30
    while api.get("/apis/kueue.x-k8s.io/v1beta1") is None or api.get(place) is None:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    queue = {
        "apiVersion": "kueue.x-k8s.io/v1beta1",
        "kind": "LocalQueue",
        "metadata": {"name": "research"},
        "spec": {"clusterQueue": "all"},
    }
    api.create(place, queue)
    yield
    api.delete(f"{kinds}/{QUEUES}", "Background")
