"""How a RayJob stands, and why, from what the API server knows of it and its pods. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from orchestrator.platforms.job import JobState
from orchestrator.platforms.kubernetes.manifest import KEY_LABEL, QUEUE_LABEL
from orchestrator.platforms.kubernetes.parsing import at, mapping, mappings

Thing = dict[str, Any]

_ENDED = ("Complete", "Failed", "ValidationFailed")
_OF_THE_RUN = "AppFailed"  # of the reasons of a failure; the others are KubeRay's own
_STARTING = ("ContainerCreating", "PodInitializing")  # no trouble, unless something is said about it


def job_state(rayjob: Thing, pods: Sequence[Thing], events: Sequence[Thing], workloads: Sequence[Thing] = ()) -> JobState:
    """Judge a RayJob.

    Args:
        rayjob: as the API has it.
        pods: of the namespace, as many as there are with the label of a submission.
        events: of the namespace, its warnings.
        workloads: of the namespace, Kueue's.
    """
    status = mapping(rayjob.get("status"))
    word, cluster = str(status.get("jobDeploymentStatus") or ""), status.get("rayClusterName")
    own = [pod for pod in pods if _label(pod, KEY_LABEL) == _label(rayjob, KEY_LABEL)]
    if at(rayjob, "metadata", "deletionTimestamp"):
        return JobState(phase="running" if any(map(_may_work, own)) else "gone", word="Deleting", why="it was cancelled", nodes=_nodes(own))
    if word in _ENDED:
        goes = not at(rayjob, "spec", "ttlSecondsAfterFinished")  # else its pods are kept, and do nothing
        still_there = goes and any(_label(pod, "ray.io/cluster") and _may_work(pod) for pod in own)
        phase = "running" if still_there and word != "Complete" else "ended"
        failed = word == "Failed" and status.get("reason") == _OF_THE_RUN
        given_up = word == "Failed" and not failed
        return JobState(phase=phase, word=_ended_word(word, status), why=_reason(status, word), given_up=given_up, failed=failed)
    if not word:
        where = at(rayjob, "metadata", "namespace")
        return JobState(phase="waiting", word="New", why=f"KubeRay has not taken it up; see that its operator runs and watches {where}")
    current = _current(own, cluster)
    if word in ("Suspended", "Suspending"):
        return JobState(phase="waiting", word=word, why=_why_suspended(rayjob, workloads), nodes=_nodes(current))
    why = _why(rayjob, str(cluster or ""), current, events)
    if word == "Retrying":
        why = _reason(status, word) or why
    return JobState(phase="running" if word == "Running" else "waiting", word=word, why=why, nodes=_nodes(current))


def _may_work(pod: Thing) -> bool:
    """A pod of a node that is lost stays `Running` for as long as the node is known; what may yet run there is fenced off."""
    return at(pod, "status", "phase") == "Running" and not _is_out_of_touch(pod)


def _current(pods: Sequence[Thing], cluster: Any) -> list[Thing]:
    """The pods of the cluster, and the newest of those that hand the run to it."""
    of_ray = [pod for pod in pods if _label(pod, "ray.io/cluster")]
    submitters = sorted((pod for pod in pods if pod not in of_ray), key=lambda pod: str(at(pod, "metadata", "creationTimestamp")))
    return [*(pod for pod in of_ray if _label(pod, "ray.io/cluster") == cluster), *submitters[-1:]]


def _label(thing: Thing, name: str) -> str:
    return str(at(thing, "metadata", "labels", name) or "")


def _ended_word(word: str, status: Thing) -> str:
    return str(status.get("jobStatus") or word) if word == "Complete" else word


def _reason(status: Thing, word: str) -> str:
    reason, message = str(status.get("reason") or ""), _first_line(status.get("message"))
    if word == "Complete" and status.get("jobStatus") == "SUCCEEDED":
        return ""
    return ": ".join(part for part in (reason if reason != word else "", message) if part)


def _first_line(text: Any) -> str:
    """Ray puts the end of the log behind it."""
    return next((line.strip() for line in str(text or "").splitlines() if line.strip()), "")


def _nodes(pods: Iterable[Thing]) -> str:
    """Those of the workers: there are the ranks."""
    running = [pod for pod in pods if at(pod, "status", "phase") == "Running" and _label(pod, "ray.io/node-type") == "worker"]
    return ",".join(sorted({str(at(pod, "spec", "nodeName")) for pod in running}))


def _why_suspended(rayjob: Thing, workloads: Sequence[Thing]) -> str:
    queue, uid = _label(rayjob, QUEUE_LABEL), at(rayjob, "metadata", "uid")
    if not queue:
        return "it was suspended by hand; set spec.suspend to false, and it goes on"
    for workload in workloads:
        if uid in [owner.get("uid") for owner in mappings(at(workload, "metadata", "ownerReferences"))]:
            said = [c for c in mappings(at(workload, "status", "conditions")) if _speaks_of_waiting(c)]
            if said:
                return f"Kueue, queue {queue}: {' '.join(str(c.get('message')) for c in said)}"
    return f"Kueue has not started it; see that queue {queue} has room for all of it at once"


def _speaks_of_waiting(condition: Thing) -> bool:
    kind, status = condition.get("type"), condition.get("status")
    return bool(condition.get("message")) and ((kind == "QuotaReserved" and status == "False") or (kind == "Evicted" and status == "True"))


def _why(rayjob: Thing, cluster: str, pods: Sequence[Thing], events: Sequence[Thing]) -> str:
    """What keeps pods from being at work, those with the same trouble together."""
    troubles: dict[str, list[str]] = {}
    for pod in pods:
        name = str(at(pod, "metadata", "name"))
        said = _trouble(pod) or (_newest(events, {name}) if not _is_ready(pod) else "")
        if said:
            troubles.setdefault(said, []).append(name)
    if not troubles and (said := _newest(events, {str(at(rayjob, "metadata", "name")), cluster})):
        return said
    return "; ".join(f"{_together(names)}: {said}" for said, names in troubles.items())


def _together(names: Sequence[str]) -> str:
    return f"pod {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _is_ready(pod: Thing) -> bool:
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in mappings(at(pod, "status", "conditions")))


def _trouble(pod: Thing) -> str:
    """Why a pod does not do what it is for; empty when it does, or just starts."""
    status = mapping(pod.get("status"))
    if status.get("phase") == "Failed" and (status.get("reason") or status.get("message")):
        return _said(status)
    for condition in mappings(status.get("conditions")):
        if (condition.get("type"), condition.get("status")) in (("PodScheduled", "False"), ("DisruptionTarget", "True")):
            return _said(condition)
    said = next(_container_troubles(status), "")
    return said or (f"node {at(pod, 'spec', 'nodeName')} does not answer" if _is_out_of_touch(pod) else "")


def _container_troubles(status: Thing) -> Iterator[str]:
    for container in [*mappings(status.get("initContainerStatuses")), *mappings(status.get("containerStatuses"))]:
        waiting, terminated = at(container, "state", "waiting"), at(container, "state", "terminated")
        if waiting and (waiting.get("message") or waiting.get("reason") not in _STARTING):
            yield _said(waiting)
        if terminated and terminated.get("exitCode"):
            yield f"{_said(terminated)} (exit code {terminated['exitCode']})"


def _is_out_of_touch(pod: Thing) -> bool:
    """All its containers run, by the last that was heard, and yet it is not ready any more: Kubernetes has not heard of its node."""
    containers = mappings(at(pod, "status", "containerStatuses"))
    all_run = bool(containers) and all(container.get("ready") and "running" in mapping(container.get("state")) for container in containers)
    return at(pod, "status", "phase") == "Running" and all_run and not _is_ready(pod)


def _said(thing: Thing) -> str:
    return ": ".join(str(part) for part in (thing.get("reason"), _first_line(thing.get("message"))) if part)


def _newest(events: Sequence[Thing], names: set[str]) -> str:
    """The last warning about one of these things."""
    about = [event for event in events if at(event, "involvedObject", "name") in names]
    last = max(about, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""), default=None)
    return _said(last) if last else ""
