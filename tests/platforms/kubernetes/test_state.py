from typing import Any

import pytest

from orchestrator.platforms.job import JobState
from orchestrator.platforms.kubernetes.state import job_state

Thing = dict[str, Any]
READY = [{"type": "Ready", "status": "True"}]
NOT_READY = [{"type": "Ready", "status": "False"}]
NO_GPUS = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."


def rayjob(word: str = "Running", *, labels: Thing | None = None, deleted: bool = False, **status: Any) -> Thing:
    metadata = {"name": "mine-1", "namespace": "here", "uid": "u", "labels": {"midtrain/key": "k", **(labels or {})}}
    gone = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {}
    return {"metadata": metadata | gone, "status": {"jobDeploymentStatus": word, "rayClusterName": "mine-1-abc", **status} if word else {}}


def pod(name: str, kind: str = "worker", *, key: str = "k", cluster: str = "mine-1-abc", node: str = "node-1", **status: Any) -> Thing:
    labels = {"midtrain/key": key} | ({"ray.io/cluster": cluster, "ray.io/node-type": kind} if kind else {})
    state = {"phase": "Running", "conditions": READY, **status}
    return {"metadata": {"name": name, "labels": labels}, "spec": {"nodeName": node}, "status": state}


def pending(name: str, **status: Any) -> Thing:
    return pod(name, **{"phase": "Pending", "conditions": [], **status})


def container(**state: Any) -> list[Thing]:
    return [{"name": "ray-worker", "ready": "running" in state, "state": state}]


def event(name: str, reason: str, message: str, when: str = "2026-01-01T00:00:00Z") -> Thing:
    return {"involvedObject": {"name": name}, "reason": reason, "message": message, "lastTimestamp": when}


@pytest.mark.parametrize(
    ("thing", "phase", "word", "why"),
    [
        (rayjob("Complete", jobStatus="SUCCEEDED", message="Job finished successfully."), "ended", "SUCCEEDED", ""),
        (
            rayjob("Complete", jobStatus="STOPPED", message="Job was stopped."),
            "ended",
            "STOPPED",
            "Job was stopped.",
        ),
        (rayjob("Failed", reason="AppFailed", message="exit code 2\nlast logs:\n…"), "ended", "Failed", "AppFailed: exit code 2"),
        (rayjob("Failed", reason="DeadlineExceeded", message="has passed"), "ended", "Failed", "DeadlineExceeded: has passed"),
        (rayjob("ValidationFailed", reason="ValidationFailed", message="is invalid"), "ended", "ValidationFailed", "is invalid"),
        (rayjob("Retrying", reason="AppFailed", message="exit code 75"), "waiting", "Retrying", "AppFailed: exit code 75"),
        (rayjob("Initializing"), "waiting", "Initializing", ""),
        (rayjob("Running"), "running", "Running", ""),
        (rayjob(""), "waiting", "New", "KubeRay has not taken it up; see that its operator runs and watches here"),
        (rayjob("Suspended"), "waiting", "Suspended", "it was suspended by hand; set spec.suspend to false, and it goes on"),
        (rayjob("Running", deleted=True), "gone", "Deleting", "it was cancelled"),
    ],
)
def test_a_rayjob_is_judged_by_its_status(thing: Thing, phase: str, word: str, why: str) -> None:
    given_up, failed = "DeadlineExceeded" in why, "AppFailed" in why and word == "Failed"
    assert job_state(thing, [], []) == JobState(phase=phase, word=word, why=why, given_up=given_up, failed=failed)


@pytest.mark.parametrize(("kept_seconds", "phase"), [(0, "running"), (3600, "ended")])
def test_pods_of_a_failed_job_are_still_to_go_unless_they_are_kept(kept_seconds: int, phase: str) -> None:
    failed = rayjob("Failed", reason="AppFailed")
    failed["spec"] = failed.get("spec", {}) | {"ttlSecondsAfterFinished": kept_seconds}
    assert job_state(failed, [pod("w")], []).phase == phase


@pytest.mark.parametrize(
    ("thing", "phase"), [(rayjob("Failed", reason="JobStatusCheckTimeoutExceeded"), "ended"), (rayjob(deleted=True), "gone")]
)
def test_a_pod_of_a_lost_node_which_stays_for_as_long_as_the_node_is_known_keeps_no_job_alive(thing: Thing, phase: str) -> None:
    lost = pod("head", "head", conditions=NOT_READY, containerStatuses=container(running={}))
    assert job_state(thing, [lost], []).phase == phase
    assert job_state(thing, [lost, pod("w")], []).phase == "running"


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (pending("w", conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": NO_GPUS}]), NO_GPUS),
        (pending("w", containerStatuses=container(waiting={"reason": "ImagePullBackOff", "message": "no such image"})), "ImagePullBackOff"),
        (pending("w", initContainerStatuses=container(waiting={"reason": "ErrImagePull", "message": "denied"})), "ErrImagePull: denied"),
        (pending("w", containerStatuses=container(waiting={"reason": "CreateContainerConfigError", "message": "secret"})), "Error: secret"),
        (pending("w", containerStatuses=container(waiting={"reason": "ContainerCreating", "message": "not bound"})), "not bound"),
        (
            pod("w", containerStatuses=container(terminated={"reason": "OOMKilled", "exitCode": 137})),
            "OOMKilled (exit code 137)",
        ),
        (pod("w", phase="Failed", reason="Evicted", message="The node was low on memory."), "Evicted: The node was low on memory."),
        (pod("w", conditions=NOT_READY, containerStatuses=container(running={})), "node node-1 does not answer"),
        (
            pod("w", conditions=[{"type": "DisruptionTarget", "status": "True", "reason": "Preemption", "message": "makes room"}]),
            "Preemption: makes room",
        ),
    ],
)
def test_a_pod_that_is_not_at_work_says_why(broken: Thing, why: str) -> None:
    state = job_state(rayjob("Running"), [broken], [])
    assert state.why.startswith("pod w: ")
    assert state.why.endswith(why) or why in state.why


def test_a_pod_that_just_starts_says_nothing() -> None:
    assert (
        job_state(rayjob("Initializing"), [pending("w", containerStatuses=container(waiting={"reason": "ContainerCreating"}))], []).why
        == ""
    )


def test_pods_with_the_same_trouble_are_told_of_once() -> None:
    conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": NO_GPUS}]
    state = job_state(rayjob("Initializing"), [pending(f"w-{n}", conditions=conditions) for n in range(8)], [])
    assert state.why == f"pod w-0 and 7 more: Unschedulable: {NO_GPUS}"


def test_where_a_pod_says_nothing_its_last_warning_does() -> None:
    events = [event("w", "FailedMount", "old"), event("w", "FailedMount", "new", "2026-01-02T00:00:00Z"), event("other", "Failed", "else")]
    assert job_state(rayjob("Initializing"), [pending("w")], events).why == "pod w: FailedMount: new"
    assert job_state(rayjob("Running"), [pod("w")], events).why == ""


def test_pods_that_cannot_be_made_are_told_of_by_the_cluster() -> None:
    events = [event("mine-1-abc", "FailedToCreateWorkerPod", "exceeded quota")]
    assert job_state(rayjob("Initializing"), [], events).why == "FailedToCreateWorkerPod: exceeded quota"


def test_nodes_are_those_of_the_workers_of_the_present_cluster() -> None:
    pods = [
        pod("a", node="node-2"),
        pod("b", node="node-1"),
        pod("c", node="node-2"),
        pod("head", "head", node="node-3"),
        pod("old", cluster="mine-1-old", node="node-4"),
        pod("others", key="other", node="node-5"),
    ]
    assert job_state(rayjob("Running"), pods, []).nodes == "node-1,node-2"


def test_the_submitters_troubles_are_told_of_and_those_of_a_cluster_before_are_not() -> None:
    failed = container(terminated={"reason": "Error", "exitCode": 1})
    pods = [pod("submitter", "", containerStatuses=failed), pod("old", cluster="mine-1-old", containerStatuses=failed)]
    assert job_state(rayjob("Running"), pods, []).why == "pod submitter: Error (exit code 1)"
    again = pod("again", "")
    again["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    pods[0]["metadata"]["creationTimestamp"] = "2025-12-31T00:00:00Z"
    assert job_state(rayjob("Running"), [again, *pods], []).why == ""


def test_what_is_cancelled_runs_until_its_pods_are_gone() -> None:
    assert job_state(rayjob("Running", deleted=True), [pod("w")], []) == JobState(
        phase="running", word="Deleting", why="it was cancelled", nodes="node-1"
    )


def test_a_job_in_a_queue_says_what_kueue_says() -> None:
    queued = rayjob("Suspended", labels={"kueue.x-k8s.io/queue-name": "research"})
    workload = {
        "metadata": {"ownerReferences": [{"uid": "u"}]},
        "status": {"conditions": [{"type": "QuotaReserved", "status": "False", "message": "insufficient quota for nvidia.com/gpu"}]},
    }
    other = {"metadata": {"ownerReferences": [{"uid": "v"}]}, "status": {"conditions": []}}
    assert job_state(queued, [], [], [other, workload]).why == "Kueue, queue research: insufficient quota for nvidia.com/gpu"
    assert job_state(queued, [], [], [other]).why == "Kueue has not started it; see that queue research has room for all of it at once"


@pytest.mark.parametrize("thing", [{}, {"status": 7}, {"metadata": {"labels": None}, "status": {"jobDeploymentStatus": "Running"}}])
def test_what_is_not_as_expected_is_judged_nevertheless(thing: Thing) -> None:
    assert job_state(thing, [{}, {"status": {"conditions": 7, "containerStatuses": [7]}}], [{}]).phase in ("waiting", "running")
