"""Manifests that are wrong, each in one way."""

from collections.abc import Callable
from typing import Any

import yaml

from tests.platforms.kubernetes.making import container_of, pod_of

Manifest = dict[str, Any]


def _spec(**changes: Any) -> Callable[[Manifest], None]:
    return lambda manifest: manifest["spec"].update(changes)


def _cluster(**changes: Any) -> Callable[[Manifest], None]:
    return lambda manifest: manifest["spec"]["rayClusterSpec"].update(changes)


def _workers(**changes: Any) -> Callable[[Manifest], None]:
    return lambda manifest: manifest["spec"]["rayClusterSpec"]["workerGroupSpecs"][0].update(changes)


def _metadata(**changes: Any) -> Callable[[Manifest], None]:
    return lambda manifest: manifest["metadata"].update(changes)


def _pod(**changes: Any) -> Callable[[Manifest], None]:
    return lambda manifest: pod_of(manifest, "worker")["spec"].update(changes)


def _container(**changes: Any) -> Callable[[Manifest], None]:
    return lambda manifest: container_of(manifest, "worker").update(changes)


def _more(key: str, *items: Any) -> Callable[[Manifest], None]:
    """One more item in a list of the worker's container."""
    return lambda manifest: container_of(manifest, "worker")[key].extend(items)


def _resources(side: str, **amounts: Any) -> Callable[[Manifest], None]:
    named = {name.replace("_", "-") if name != "gpu" else "nvidia.com/gpu": value for name, value in amounts.items()}
    return lambda manifest: container_of(manifest, "worker")["resources"][side].update(named)


def _both(first: Callable[[Manifest], None], second: Callable[[Manifest], None]) -> Callable[[Manifest], None]:
    def change(manifest: Manifest) -> None:
        first(manifest)
        second(manifest)

    return change


def _twice(place: Callable[[Manifest], list[Any]]) -> Callable[[Manifest], None]:
    """The first item of a list once more."""
    return lambda manifest: place(manifest).append(dict(place(manifest)[0]))


def _without(place: Callable[[Manifest], Manifest], key: str) -> Callable[[Manifest], None]:
    return lambda manifest: place(manifest).pop(key)


# What the rules know of, without a server.
AGAINST_THE_RULES: dict[str, Callable[[Manifest], None]] = {
    "a name of 48 characters": _metadata(name="a" * 48),
    "a name that begins with a digit": _metadata(name="8b-1"),
    "suspended without shutdownAfterJobFinishes": _spec(suspend=True, shutdownAfterJobFinishes=False, ttlSecondsAfterFinished=0),
    "a submission mode that there is not": _spec(submissionMode="K8SJobMode"),
    "a backoffLimit below 0": _spec(backoffLimit=-1),
    "a deadline of 0": _spec(activeDeadlineSeconds=0),
    "a runtimeEnvYAML that is not YAML": _spec(runtimeEnvYAML="{pip: [a"),
    "minReplicas below replicas": _workers(minReplicas=1),
    "two worker groups of one name": _twice(lambda manifest: manifest["spec"]["rayClusterSpec"]["workerGroupSpecs"]),
    "tokens without a version of Ray": _without(lambda manifest: manifest["spec"]["rayClusterSpec"], "rayVersion"),
    "tokens for a Ray that is too old": _cluster(rayVersion="2.9.3"),
    "no containers": _pod(containers=[]),
    "two containers of one name": _twice(lambda manifest: pod_of(manifest, "worker")["spec"]["containers"]),
    "two volumes of one name": _twice(lambda manifest: pod_of(manifest, "head")["spec"]["volumes"]),
    "two variables of one name": _more("env", {"name": "HOME", "value": "/root"}),
    "a mount without its volume": _more("volumeMounts", {"name": "scratch", "mountPath": "/scratch"}),
    "two mounts at one path": _more("volumeMounts", {"name": "shm", "mountPath": "/tmp"}),
    "a memory of 2Gigs": _resources("limits", memory="2Gigs"),
    "a GPU request that is not the limit": _both(_resources("limits", gpu=2), _resources("requests", gpu=1)),
    "half a GPU": _both(_resources("limits", gpu="500m"), _resources("requests", gpu="500m")),
    "a /dev/shm as large as the memory": lambda manifest: pod_of(manifest, "worker")["spec"]["volumes"][1]["emptyDir"].update(
        sizeLimit="2Gi"
    ),
    "a memory volume without a limit": lambda manifest: pod_of(manifest, "head")["spec"]["volumes"][1]["emptyDir"].pop("sizeLimit"),
    "a volume without a source": lambda manifest: pod_of(manifest, "worker")["spec"]["volumes"].append({"name": "scratch"}),
    "an image by its tag": _container(image="registry.example.com/midtrain:latest"),
    "a secret in plain sight": _more("env", {"name": "HF_TOKEN", "value": "hf_abcdefghijklmnop"}),
    "a pod that is started again": _pod(restartPolicy="Always"),
    "a negative grace period": _pod(terminationGracePeriodSeconds=-1),
    "root": _pod(securityContext={"runAsNonRoot": True, "runAsUser": 0}),
}

# What only a server knows of.
AGAINST_THE_SCHEMA: dict[str, Callable[[Manifest], None]] = {
    "an unknown field of the RayJob": _spec(entryPoint="midtrain job"),
    "an unknown field of a worker group": _workers(replica=2),
    "an unknown field of a container": _container(imagePullPolcy="Always"),
    "an unknown field of a pod": _pod(terminationGracePeriod=30),
    "replicas in words": _workers(replicas="two", minReplicas="two", maxReplicas="two"),
    "suspend as text": _spec(suspend="true"),
    "a variable's value that is a number": _more("env", {"name": "OMP_NUM_THREADS", "value": 8}),
    "a command that is not a list": _container(command="sleep 1"),
    "a label that cannot be one": lambda manifest: manifest["metadata"]["labels"].update({"team": "a b"}),
    "a volume of two sources": lambda manifest: pod_of(manifest, "worker")["spec"]["volumes"][0].update(hostPath={"path": "/tmp"}),
    "a variable's name with a space": _more("env", {"name": "MY VARIABLE", "value": "1"}),
    "a capability that is not a list": lambda manifest: container_of(manifest, "worker")["securityContext"].update(capabilities="none"),
    "an unknown toleration": _pod(tolerations=[{"key": "gpu", "operator": "Is"}]),
}

BROKEN = AGAINST_THE_RULES | AGAINST_THE_SCHEMA


def broken_text(name: str, manifest: Manifest) -> str:
    """The manifest, wrong."""
    BROKEN[name](manifest)
    return yaml.safe_dump(manifest)
