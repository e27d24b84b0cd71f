"""What is wrong with a RayJob that a server's schema lets pass: KubeRay's own rules (v1.7, validation.go), and ours. Pure."""

from collections.abc import Iterator
from typing import Any

import yaml

from orchestrator.platforms.kubernetes.names import LONGEST_NAME, is_rayjob_name
from orchestrator.platforms.kubernetes.parsing import at, mapping, mappings
from orchestrator.platforms.kubernetes.pod_rules import broken_pod_rules, repeated

_MODES = ("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode")
_MANAGERS = ("ray.io/kuberay-operator", "kueue.x-k8s.io/multikueue")
_OLDEST_RAY_WITH_TOKENS = (2, 52)
_RESOURCE_PARAMETERS = ("num-cpus", "num-gpus", "memory", "resources")


def broken_rules(manifest: dict[str, Any]) -> list[str]:
    """What is wrong with a manifest, each with its place and what would be right; what has the wrong type is left to the schema."""
    if (manifest.get("apiVersion"), manifest.get("kind")) != ("ray.io/v1", "RayJob"):
        return [f"it is {manifest.get('apiVersion')} {manifest.get('kind')}, not ray.io/v1 RayJob"]
    spec, cluster = mapping(manifest.get("spec")), mapping(at(manifest, "spec", "rayClusterSpec"))
    return [*_name(manifest), *_job(spec), *_limits(spec), *_cluster(cluster), *_groups(cluster), *_pods(spec, cluster)]


def _name(manifest: dict[str, Any]) -> Iterator[str]:
    name = at(manifest, "metadata", "name")
    if not isinstance(name, str) or not is_rayjob_name(name):
        yield (
            f"metadata.name={name!r} must have at most {LONGEST_NAME} characters: small letters, digits and hyphens, the first a letter, "
            "the last no hyphen"
        )
    if at(manifest, "metadata", "generateName"):
        yield "metadata.generateName makes a new RayJob each time it is applied; give metadata.name"


def _job(spec: dict[str, Any]) -> Iterator[str]:
    shuts_down, mode = spec.get("shutdownAfterJobFinishes"), spec.get("submissionMode", "K8sJobMode")
    if not str(spec.get("entrypoint") or "").strip():
        yield "spec.entrypoint is empty: nothing would run"
    if mode != "K8sJobMode":
        known = "this mode is not made for midtrain" if mode in _MODES else "KubeRay knows no such mode and would let it hang"
        yield f"spec.submissionMode={mode!r}: {known}; it must be K8sJobMode"
    if spec.get("suspend") and not shuts_down:
        yield "spec.suspend needs spec.shutdownAfterJobFinishes: true"
    if spec.get("ttlSecondsAfterFinished") and not shuts_down:
        yield "spec.ttlSecondsAfterFinished needs spec.shutdownAfterJobFinishes: true"
    if spec.get("clusterSelector"):
        yield "spec.clusterSelector: a run has a cluster of its own; give spec.rayClusterSpec and leave it out"
    if not spec.get("rayClusterSpec"):
        yield "spec.rayClusterSpec is missing"
    if spec.get("deletionStrategy"):
        yield "spec.deletionStrategy needs a feature gate of KubeRay; use spec.shutdownAfterJobFinishes"
    if spec.get("managedBy", _MANAGERS[0]) not in _MANAGERS:
        yield f"spec.managedBy={spec.get('managedBy')!r} must be one of {', '.join(_MANAGERS)}"
    if "runtimeEnvYAML" in spec and not _is_yaml(spec["runtimeEnvYAML"]):
        yield "spec.runtimeEnvYAML is not a mapping in YAML"


def _is_yaml(text: Any) -> bool:
    try:
        return isinstance(yaml.safe_load(str(text)) or {}, dict)
    except yaml.YAMLError:
        return False


def _limits(spec: dict[str, Any]) -> Iterator[str]:
    least = {"backoffLimit": 0, "ttlSecondsAfterFinished": 0, "activeDeadlineSeconds": 1, "preRunningDeadlineSeconds": 1}
    for key, limit in least.items():
        value = spec.get(key)
        if isinstance(value, int) and value < limit:
            yield f"spec.{key}={value} must be {limit} or more"
    value = at(spec, "submitterConfig", "backoffLimit")
    if isinstance(value, int) and value < 0:
        yield f"spec.submitterConfig.backoffLimit={value} must be 0 or more"


def _cluster(cluster: dict[str, Any]) -> Iterator[str]:
    where, version = "spec.rayClusterSpec", str(cluster.get("rayVersion") or "")
    if at(cluster, "authOptions", "mode") != "token":
        yield f"{where}.authOptions.mode must be token, or whoever reaches the head runs code in it"
    elif not version:
        yield f"{where}.rayVersion is missing, and token authentication needs it"
    elif not _has_tokens(version):
        yield f"{where}.rayVersion={version!r} must be 2.52.0 or later for token authentication"
    if cluster.get("enableInTreeAutoscaling"):
        yield f"{where}.enableInTreeAutoscaling: a run has a fixed size; set it to false"
    if cluster.get("suspend"):
        yield f"{where}.suspend is KubeRay's own; use spec.suspend"


def _has_tokens(version: str) -> bool:
    numbers = version.split(".")[:2]
    return all(number.isdigit() for number in numbers) and tuple(map(int, numbers)) >= _OLDEST_RAY_WITH_TOKENS


def _groups(cluster: dict[str, Any]) -> Iterator[str]:
    workers = mappings(cluster.get("workerGroupSpecs"))
    head = mapping(cluster.get("headGroupSpec"))
    if not workers:
        yield "spec.rayClusterSpec.workerGroupSpecs is empty: no ranks would run"
    names = [group.get("groupName") for group in workers]
    for name in repeated(names):
        yield f"spec.rayClusterSpec.workerGroupSpecs: two groups are called {name!r}"
    for where, group in [("headGroupSpec", head), *((f"workerGroupSpecs[{index}]", group) for index, group in enumerate(workers))]:
        yield from _parameters(f"spec.rayClusterSpec.{where}", group)
    if str(at(head, "rayStartParams", "num-gpus")) != "0" or str(at(head, "rayStartParams", "num-cpus")) != "0":
        yield 'spec.rayClusterSpec.headGroupSpec.rayStartParams must have num-cpus: "0" and num-gpus: "0", so that no rank runs on the head'
    for index, group in enumerate(workers):
        yield from _replicas(f"spec.rayClusterSpec.workerGroupSpecs[{index}]", group)


def _parameters(where: str, group: dict[str, Any]) -> Iterator[str]:
    parameters = mapping(group.get("rayStartParams"))
    if group.get("resources") and any(name in parameters for name in _RESOURCE_PARAMETERS):
        yield f"{where}: resources and rayStartParams both say what Ray has; leave one out"
    if "labels" in parameters:
        yield f"{where}.rayStartParams.labels is not supported; use {where}.labels"


def _replicas(where: str, group: dict[str, Any]) -> Iterator[str]:
    sizes = {key: group.get(key) for key in ("replicas", "minReplicas", "maxReplicas")}
    numbers = [size for size in sizes.values() if isinstance(size, int)]
    if len(numbers) == len(sizes) and (len(set(numbers)) > 1 or numbers[0] < 1):
        yield f"{where}: replicas, minReplicas and maxReplicas are {', '.join(map(str, numbers))}; all must be the same, 1 or more"
    missing = [key for key, size in sizes.items() if size is None]
    if missing:
        yield f"{where}.{missing[0]} is missing; replicas, minReplicas and maxReplicas must be the same"


def _pods(spec: dict[str, Any], cluster: dict[str, Any]) -> Iterator[str]:
    if "submitterPodTemplate" in spec:
        yield from broken_pod_rules("spec.submitterPodTemplate", mapping(spec["submitterPodTemplate"]))
    groups = {"headGroupSpec": mapping(cluster.get("headGroupSpec"))}
    groups |= {f"workerGroupSpecs[{index}]": group for index, group in enumerate(mappings(cluster.get("workerGroupSpecs")))}
    for where, group in groups.items():
        yield from broken_pod_rules(f"spec.rayClusterSpec.{where}.template", mapping(group.get("template")), is_ray_node=True)
