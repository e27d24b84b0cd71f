"""From a job to the manifest of its RayJob. Pure, but for the template and for whom it is made."""

import os
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from orchestrator.errors import ConfigError
from orchestrator.platforms.job import Job
from orchestrator.platforms.kubernetes.names import label_value, rayjob_name
from orchestrator.platforms.kubernetes.quantities import as_bytes
from orchestrator.platforms.settings import KubernetesSettings, seconds_of
from orchestrator.platforms.templates import render
from orchestrator.ray_variables import NODE_VARIABLES
from orchestrator.runs.directory import RunDirectory

KEY_LABEL = "midtrain/key"
RUN_LABEL = "midtrain/run"
RUN_ANNOTATION = "midtrain/run-directory"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
_TOPOLOGY_ANNOTATION = "kueue.x-k8s.io/podset-required-topology"
_STAY = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "karpenter.sh/do-not-disrupt": "true"}
_OBJECT_STORE_BYTES = 2 << 30  # blocks of the feed are all that goes through it
_SMALLEST_OBJECT_STORE_BYTES = 128 << 20
_HEAD_SHM, _SMALL_HEAD_SHM = "1Gi", "512Mi"  # no ranks are there; the larger one is what the doctor asks of any machine
_SMALL_HEAD_BYTES = 4 << 30
USER_OF_IMAGE = 10001  # as in docker/Dockerfile
_SUBMITTER = {"cpu": "500m", "memory": "512Mi"}
_SUBMITTER_RETRIES = 10
_EVERYWHERE = NODE_VARIABLES | {
    "HOME": "/tmp",  # the root is read-only
    "USER": "midtrain",  # the image does not know whose number it is
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "1",  # the ranks have left before Ray is told to
}
_OURS = ("MIDTRAIN_RUN", "MIDTRAIN_JOB", "MIDTRAIN_LOG", "RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_JOB_STOP_WAIT_TIME_S")


def rayjob_manifest(job: Job) -> str:
    """The manifest of a job's RayJob, as YAML with comments.

    Raises:
        ConfigError: the settings contradict each other, or the template is wrong.
    """
    settings: KubernetesSettings = job.settings
    _refuse_overlaps(settings)
    assert len(job.runs) == 1, "KubeRay has no arrays: each run is a job of its own"
    run = job.runs[0]
    if any("\ud800" <= character <= "\udfff" for character in str(run.root)):
        raise ConfigError(f"run.dir={str(run.root)!r} is not UTF-8, which Kubernetes takes nothing else than. Choose another.")
    name = rayjob_name(job.name, job.number)
    return render(settings.template, _facts(job, settings, name) | _pods(job, settings, run, name) | _metadata(job, settings, run))


def identity(run: RunDirectory) -> tuple[int, int, Sequence[int]]:
    """User, group and further groups that pods run as: those of the owner of the run's directory, or of whoever is about to make it.

    Pods do not run as root. What root has made is handed over to the user of the image.
    """
    try:
        found = run.root.stat()
        owner, group = found.st_uid, found.st_gid
    except OSError:
        owner, group = os.getuid(), os.getgid()
    if owner == 0:
        return USER_OF_IMAGE, USER_OF_IMAGE, ()
    if owner == os.getuid():
        return owner, os.getgid(), sorted({*os.getgroups()} - {0, os.getgid()})
    return owner, group, ()


def _refuse_overlaps(settings: KubernetesSettings) -> None:
    for key, variables in (("environment", settings.environment), ("secrets", settings.secrets)):
        if taken := sorted(set(variables) & set(_OURS)):
            raise ConfigError(f"launch.{key}.{taken[0]} is set by midtrain or KubeRay itself. Leave it out.")
    if twice := sorted(set(settings.environment) & set(settings.secrets)):
        raise ConfigError(f"launch.environment.{twice[0]} and launch.secrets.{twice[0]} are the same variable. Leave one out.")
    for key, names in (("labels", settings.labels), ("annotations", settings.annotations)):
        if taken := [name for name in sorted(names) if name.startswith("midtrain/") or name == QUEUE_LABEL]:
            raise ConfigError(f"launch.{key} has {taken[0]}, which midtrain sets itself. Leave it out; a queue is named by launch.queue.")


def _facts(job: Job, settings: KubernetesSettings, name: str) -> dict[str, Any]:
    return {
        "name": job.name,
        "number": job.number,
        "profile": job.profile,
        "rayjob": name,
        "namespace": settings.namespace,
        "nodes": job.shape.nodes,
        "ranks_per_node": job.shape.ranks_per_node,
        "queue": settings.queue,
        "max_retries": settings.max_retries,
        "time_limit_seconds": seconds_of(settings.time_limit) if settings.time_limit else None,
        "start_seconds": settings.start_seconds,
        "keep_seconds": settings.keep_seconds,
        "submitter_retries": _SUBMITTER_RETRIES,
        "ray_version": version("ray"),
        "grace_seconds": settings.grace_seconds,
        "service_account": settings.service_account,
        "priority_class": settings.priority_class,
        "node_selector": settings.node_selector,
        "tolerations": settings.tolerations,
        "image": settings.image,
    }


def _metadata(job: Job, settings: KubernetesSettings, run: RunDirectory) -> dict[str, Any]:
    labels = {**settings.labels, RUN_LABEL: label_value(job.name), KEY_LABEL: label_value(job.key)}
    topology = {_TOPOLOGY_ANNOTATION: settings.topology} if settings.topology else {}
    return {
        "labels": labels,
        "rayjob_labels": labels | ({QUEUE_LABEL: settings.queue} if settings.queue else {}),
        "annotations": {
            "rayjob": {**settings.annotations, RUN_ANNOTATION: str(run.root)},
            "submitter": _STAY,
            "head": _STAY,
            "worker": {**_STAY, **settings.annotations, **topology},
        },
    }


def _pods(job: Job, settings: KubernetesSettings, run: RunDirectory, name: str) -> dict[str, Any]:
    gpus = {settings.gpu_resource: job.shape.gpus_per_node} if job.shape.gpus_per_node else {}
    resources: dict[str, Any] = {"cpu": settings.cpus_per_node, "memory": settings.memory_per_node, **gpus, **settings.resources}
    everywhere = {**_EVERYWHERE, **settings.environment, "MIDTRAIN_RUN": str(run.root)}
    own = {
        "MIDTRAIN_JOB": f"kubernetes:{name}",
        "MIDTRAIN_LOG": str(run.job_log),
        "RAY_JOB_STOP_WAIT_TIME_S": str(settings.grace_seconds),  # Ray kills what it was asked to stop after 3 s
    }
    return {
        "resources": {
            "head": {"cpu": settings.head_cpus, "memory": settings.head_memory},
            "worker": resources,
            "submitter": _SUBMITTER,
        },
        "shm": {"head": _head_shm(settings.head_memory), "worker": settings.shm},
        "ray_start": {
            "head": _ray_start(0, 0, _SMALLEST_OBJECT_STORE_BYTES) | {"no-monitor": "true"},  # nothing here is scaled
            "worker": _ray_start(job.shape.ranks_per_node, job.shape.gpus_per_node, _object_store_bytes(settings.shm)),
        },
        "environment": {"head": _literal({**everywhere, **own}), "worker": _literal(everywhere)},
        "secrets": {variable: {"name": secret.name, "key": secret.key} for variable, secret in settings.secrets.items()},
        "claims": [
            {"volume": f"claim-{index}", "path": path, "name": claim} for index, (path, claim) in enumerate(settings.claims.items(), 1)
        ],
        "pod_security": {
            "runAsNonRoot": True,
            **_security_of(identity(run)),
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "container_security": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
    }


def _ray_start(cpus: int, gpus: int, object_store_bytes: int) -> dict[str, str]:
    sizes = {"num-cpus": str(cpus), "num-gpus": str(gpus), "object-store-memory": str(object_store_bytes)}
    return sizes | {"include-log-monitor": "false"}  # it would copy logs to a driver that does not read them


def _head_shm(memory: str) -> str:
    return _HEAD_SHM if as_bytes(memory) >= _SMALL_HEAD_BYTES else _SMALL_HEAD_SHM


def _object_store_bytes(shm: str) -> int:
    """A third of /dev/shm at most."""
    return max(_SMALLEST_OBJECT_STORE_BYTES, min(_OBJECT_STORE_BYTES, as_bytes(shm) // 3))


def _literal(variables: dict[str, str]) -> dict[str, str]:
    """Kubernetes puts other variables in the place of $(NAME), and $ for $$."""
    return {name: value.replace("$", "$$") for name, value in variables.items()}


def _security_of(identity: tuple[int, int, Sequence[int]]) -> dict[str, Any]:
    user, group, others = identity
    return {"runAsUser": user, "runAsGroup": group} | ({"supplementalGroups": list(others)} if others else {})
