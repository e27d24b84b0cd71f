"""Runs on a real Kubernetes API server, with Ray in the pods, left alone and broken."""

import json
import re
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.platforms.kubernetes.client import Api
from orchestrator.resources import resource
from orchestrator.runs.lines import read_lines
from tests.chaos.breaking import EVERY, FAULTS, classes, events, finishes, last_step, wait_for
from tests.clusters.launched import attempts, midtrain, wait_for_attempt, wait_for_state, wait_for_step, words

IMAGE = "registry.example.com/midtrain@sha256:" + "ab" * 32
SITE: dict[str, object] = {
    "launch.image": IMAGE,
    "launch.ranks_per_node": 1,
    "launch.cpus_per_node": "'2'",
    "launch.memory_per_node": "3Gi",
    "launch.shm": "1Gi",
    "launch.head_cpus": "'1'",
    "launch.head_memory": "2Gi",
    "launch.grace_seconds": 50,
}


@dataclass(frozen=True)
class Cluster:
    """A namespace of one's own, with a claim of the folder of the runs."""

    api: Api
    namespace: str
    folder: Path

    def words(self, run: Path, *, slow: bool = False, changes: Mapping[str, object] | None = None) -> list[str]:
        slowed = {"PYTHONPATH": str(FAULTS), "MIDTRAIN_FAULT": "slow steps", "MIDTRAIN_FAULT_FILE": str(self.folder / "fault")}
        variables = ",".join(f"{name}: '{value}'" for name, value in ({"HF_HUB_OFFLINE": "1"} | (slowed if slow else {})).items())
        site = SITE | {
            "launch.namespace": self.namespace,
            "launch.claims": f"{{{self.folder}: runs}}",
            "launch.environment": f"{{{variables}}}",
        }
        return words(run, self.folder, site | dict(changes or {}))

    def launch(self, run: Path, *, slow: bool = False, changes: Mapping[str, object] | None = None) -> str:
        """Submit a run.

        Returns:
            The name of its RayJob.
        """
        said = midtrain("launch", "kubernetes", *self.words(run, slow=slow, changes=changes), folder=self.folder)
        found = re.search(r"as job (\S+?)[.:]", said)
        assert found, said
        return found[1]

    def rayjob(self, name: str) -> dict[str, Any]:
        return self.api.get(f"/apis/ray.io/v1/namespaces/{self.namespace}/rayjobs/{name}") or {}

    def state(self, name: str) -> str:
        return str(self.rayjob(name).get("status", {}).get("jobDeploymentStatus"))

    def pods(self, kind: str) -> list[dict[str, Any]]:
        """Running pods of Ray's: `head` or `worker`."""
        pods = self.api.items(f"/api/v1/namespaces/{self.namespace}/pods", labelSelector=f"ray.io/node-type={kind}")
        return [pod for pod in pods if pod["status"].get("phase") == "Running"]

    def submitter(self, name: str) -> str:
        """The pod at work that hands a RayJob's run to its head; empty when there is none."""
        pods = self.api.items(f"/api/v1/namespaces/{self.namespace}/pods", labelSelector=f"job-name={name}")
        return next((pod["metadata"]["name"] for pod in pods if pod["status"].get("phase") == "Running"), "")

    def delete_pod(self, pod: Mapping[str, Any]) -> None:
        """As a drain of its node does."""
        self.api.delete(f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}", "Background")

    def patch(self, name: str, **spec: object) -> None:
        """Change a RayJob as it stands: `suspend` is what Kueue does."""
        patch = yaml.safe_dump({"spec": spec})
        subprocess.run(
            ["kubectl", "patch", "rayjob", name, f"--namespace={self.namespace}", "--type=merge", f"--patch={patch}"],
            check=True,
            capture_output=True,
            timeout=60,
        )


def thing(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}


@pytest.fixture(scope="module")
def cluster(kubernetes: Api, folder: Path) -> Iterator[Cluster]:
    namespace = f"midtrain-test-{secrets.token_hex(4)}"
    core = f"/api/v1/namespaces/{namespace}"
    modes = {"accessModes": ["ReadWriteMany"], "storageClassName": namespace}
    volume = modes | {"capacity": {"storage": "1Gi"}, "hostPath": {"path": str(folder)}}
    kubernetes.create("/api/v1/namespaces", thing("Namespace", namespace, {}))
    kubernetes.create("/api/v1/persistentvolumes", thing("PersistentVolume", namespace, volume))
    claim = modes | {"resources": {"requests": {"storage": "1Gi"}}}
    kubernetes.create(f"{core}/persistentvolumeclaims", thing("PersistentVolumeClaim", "runs", claim))
    for given in yaml.safe_load_all((resource("launch") / "kubernetes" / "rbac.yaml").read_text()):
        if given["kind"] == "ServiceAccount":
            kubernetes.create(f"{core}/serviceaccounts", given)
    yield Cluster(kubernetes, namespace, folder)
    kubernetes.delete(f"/api/v1/namespaces/{namespace}", "Background")
    kubernetes.delete(f"/api/v1/persistentvolumes/{namespace}", "Background")


def lab(kubernetes_lab: str, *words: str) -> None:
    subprocess.run([kubernetes_lab, *words], check=True, timeout=60, capture_output=True)


def test_a_second_launch_attaches_and_a_run_whose_submitter_dies_and_which_is_suspended_goes_on_in_a_new_cluster_and_completes(
    cluster: Cluster, folder: Path, reference: Path, kubernetes_lab: str
) -> None:
    run = folder / "runs" / "kube-suspended"
    (folder / "fault").touch()
    name = cluster.launch(run, slow=True)
    assert cluster.launch(run, slow=True) == name
    wait_for_step(run, 2)
    submitter = cluster.submitter(name)
    lab(kubernetes_lab, "kill-pod", submitter, "-n", cluster.namespace)
    wait_for(lambda: cluster.submitter(name) not in ("", submitter), every=0.2)
    wait_for_step(run, last_step(run) + 2)
    cluster.patch(name, suspend=True)
    wait_for(lambda: cluster.state(name) == "Suspended", 180, every=0.5)
    wait_for_state(run, "queued", seconds=60)  # its pods are still there, and save
    assert attempts(run) == [(f"kubernetes:{name}", "preempted")]
    assert events(run, "saved")[-1]["step"] % EVERY, "a save at the step at which it was asked to stop"
    cluster.patch(name, suspend=False)
    wait_for_attempt(run, 2)
    (folder / "fault").unlink()
    wait_for_state(run, "finished")
    finishes(run, reference)
    assert "starting" in midtrain("logs", str(run), folder=folder)  # the heads and their logs may be gone; these are the run's own


def test_a_worker_that_is_killed_and_a_node_that_is_lost_are_replaced_and_a_run_that_is_asked_to_stop_is_not_retried(
    cluster: Cluster, folder: Path, kubernetes_lab: str
) -> None:
    run = folder / "runs" / "kube-worker"
    (folder / "fault").touch()
    name = cluster.launch(run, slow=True, changes={"scheduling.deadlines.start": 20, "scheduling.deadlines.step": 15})
    wait_for_step(run, 3)
    lab(kubernetes_lab, "kill-pod", cluster.pods("worker")[0]["metadata"]["name"], "-n", cluster.namespace)
    wait_for_attempt(run, 2)
    wait_for(lambda: last_step(run) < 3, 240, every=0.1)  # it began anew
    wait_for_step(run, 4)
    (head,) = cluster.pods("head")
    node = next(at for pod in cluster.pods("worker") if (at := pod["spec"]["nodeName"]) != head["spec"]["nodeName"])
    lab(kubernetes_lab, "fail-node", node)
    try:
        wait_for_attempt(run, 4, seconds=300)  # the third one waits for the node in vain, and the fourth is in another cluster
        wait_for(lambda: last_step(run) < 3, every=0.1)
        wait_for_step(run, 3)
        assert "which is saved" in midtrain("stop", str(run), folder=folder)
        wait_for(lambda: cluster.state(name) == "Complete", 120, every=0.5)
    finally:
        lab(kubernetes_lab, "restore-node", node)
    assert classes(run) == [*["infrastructure"] * 3, "stopped"]


def test_a_worker_that_is_drained_and_a_head_that_is_killed_are_replaced_and_a_run_whose_deadline_has_passed_is_submitted_again(
    cluster: Cluster, folder: Path, reference: Path, kubernetes_lab: str
) -> None:
    run = folder / "runs" / "kube-head"
    (folder / "fault").touch()
    name = cluster.launch(run, slow=True, changes={"launch.time_limit": "0:30:00"})
    wait_for_step(run, 3)
    cluster.delete_pod(cluster.pods("worker")[0])
    wait_for_attempt(run, 2)
    assert attempts(run)[0] == (f"kubernetes:{name}", "preempted")
    saved = events(run, "saved")[-1]["step"]
    assert saved % EVERY, "a save at the step at which its node was taken away"
    wait_for_step(run, saved + 1)
    lab(kubernetes_lab, "kill-pod", cluster.pods("head")[0]["metadata"]["name"], "-n", cluster.namespace)
    wait_for_attempt(run, 3)  # the submitter has given the run to the new head
    assert cluster.rayjob(name)["spec"]["activeDeadlineSeconds"] == 1800
    cluster.patch(name, activeDeadlineSeconds=1)  # rather than to wait for half an hour
    wait_for(lambda: cluster.state(name) == "Failed", every=0.5)

    def is_submitted_again() -> bool:
        midtrain("status", str(run), folder=folder)
        return any(line["number"] == 2 for line in read_lines(run / "launch" / "submissions.jsonl"))

    wait_for(is_submitted_again, every=1.0)
    (folder / "fault").unlink()  # not before: the attempt that has to leave would be done first
    wait_for_state(run, "finished")
    jobs = [job for job, _ in attempts(run)]
    assert (jobs[:3], jobs[-1]) == ([f"kubernetes:{name}"] * 3, f"kubernetes:{name[:-1]}2")
    finishes(run, reference)


def test_the_doctor_looks_at_the_nodes_that_a_run_would_have(cluster: Cluster, folder: Path) -> None:
    said = midtrain("doctor", "--on", "kubernetes", "--json", *cluster.words(folder / "runs" / "examined"), folder=folder)
    report = json.loads(said[said.index("{\n") : said.rindex("}") + 1])
    assert report["is_good"]
    assert "2 ranks on 2 nodes" in next(found["value"] for found in report["findings"] if found["check"] == "all-reduce of 16 MiB")
