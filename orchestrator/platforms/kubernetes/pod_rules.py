"""What is wrong with a pod that a RayJob's schema lets pass: the RayJob is taken, and its pods never start, or not as meant. Pure."""

import re
from collections.abc import Hashable, Iterable, Iterator
from decimal import Decimal
from typing import Any

from orchestrator.config.secrets import refuse_secrets_within
from orchestrator.errors import ConfigError
from orchestrator.platforms.kubernetes.parsing import at, mapping, mappings
from orchestrator.platforms.kubernetes.quantities import amount

_BY_DIGEST = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")
_FRACTIONAL = ("cpu", "memory", "ephemeral-storage")


def repeated(names: Iterable[Any]) -> list[Any]:
    """Those that occur more than once."""
    seen: list[Any] = []
    found: list[Any] = []
    for name in names:
        if isinstance(name, Hashable) and name is not None:
            (found if name in seen and name not in found else seen).append(name)
    return found


def broken_pod_rules(where: str, template: dict[str, Any], is_ray_node: bool = False) -> Iterator[str]:
    """What is wrong with a pod's template.

    Args:
        where: its place in the manifest.
        template: metadata and spec.
        is_ray_node: whether Ray runs in its first container.
    """
    spec = mapping(template.get("spec"))
    containers, volumes = mappings(spec.get("containers")), mappings(spec.get("volumes"))
    everything = [*containers, *mappings(spec.get("initContainers"))]
    if not containers:
        yield f"{where}.spec.containers is empty"
    if spec.get("restartPolicy") != "Never":
        yield f"{where}.spec.restartPolicy={spec.get('restartPolicy')!r} must be Never: what starts again would not be in the gang any more"
    grace = spec.get("terminationGracePeriodSeconds", 0)
    if isinstance(grace, int) and grace < 0:
        yield f"{where}.spec.terminationGracePeriodSeconds={grace} must be 0 or more"
    for name in repeated(container.get("name") for container in everything):
        yield f"{where}.spec.containers: two are called {name!r}"
    for name in repeated(volume.get("name") for volume in volumes):
        yield f"{where}.spec.volumes: two are called {name!r}"
    for volume in volumes:
        if not set(volume) - {"name"}:
            yield f"{where}.spec.volumes: {volume.get('name')} has no source; if an empty directory is meant, say emptyDir: {{}}"
    for index, container in enumerate(containers):
        place = f"{where}.spec.containers[{index}]"
        yield from _container(place, container, {str(volume.get("name")) for volume in volumes})
        yield from _user(place, container, spec)
    yield from _memory(where, containers, volumes)
    if is_ray_node:
        yield from _writable(where, containers)


def _container(where: str, container: dict[str, Any], volumes: set[str]) -> Iterator[str]:
    image = str(container.get("image") or "")
    if not _BY_DIGEST.fullmatch(image):
        yield f"{where}.image={image!r} is not given by its digest, so retries could run another; write NAME@sha256:…"
    yield from _resources(f"{where}.resources", mapping(container.get("resources")))
    yield from _variables(f"{where}.env", mappings(container.get("env")))
    mounts = mappings(container.get("volumeMounts"))
    for mount in mounts:
        if str(mount.get("name")) not in volumes:
            yield f"{where}.volumeMounts: there is no volume called {mount.get('name')!r}"
        path = str(mount.get("mountPath") or "")
        if not path.startswith("/") or ":" in path:
            yield f"{where}.volumeMounts: mountPath={path!r} must be an absolute path without a colon"
    for path in repeated(mount.get("mountPath") for mount in mounts):
        yield f"{where}.volumeMounts: two are at {path}"


def _resources(where: str, resources: dict[str, Any]) -> Iterator[str]:
    limits, requests = mapping(resources.get("limits")), mapping(resources.get("requests"))
    for side, given in (("limits", limits), ("requests", requests)):
        for name, value in given.items():
            number = amount(value)
            if number is None:
                yield f"{where}.{side}.{name}={value!r} is no quantity; write one such as 500m, 8 or 64Gi"
            elif name not in _FRACTIONAL and number != int(number):
                yield f"{where}.{side}.{name}={value!r} must be a whole number"
    for name in {**limits, **requests}:
        limit, request = amount(limits.get(name)), amount(requests.get(name, limits.get(name)))
        if limit != request:
            shown = f"requests.{name}={requests.get(name)!r} and limits.{name}={limits.get(name)!r}"
            yield f"{where}: {shown} must be the same, or the pod is the first to be evicted, and of GPUs is refused"
    for name in ("cpu", "memory"):
        if name not in limits:
            yield f"{where}.limits.{name} is missing"


def _variables(where: str, variables: list[dict[str, Any]]) -> Iterator[str]:
    for name in repeated(variable.get("name") for variable in variables):
        yield f"{where}: two variables are called {name!r}"
    for variable in variables:
        name = str(variable.get("name") or "")
        if "value" in variable and "valueFrom" in variable:
            yield f"{where}: {name} has a value and a valueFrom; leave one out"
        elif variable.get("value") and _is_secret(name, variable["value"]):
            yield f"{where}: {name} looks like a secret and stands there in plain sight; use valueFrom.secretKeyRef (launch.secrets)"


def _is_secret(name: str, value: Any) -> bool:
    try:
        refuse_secrets_within({name: value})
    except ConfigError:
        return True
    return False


def _user(where: str, container: dict[str, Any], spec: dict[str, Any]) -> Iterator[str]:
    own, pod = mapping(container.get("securityContext")), mapping(spec.get("securityContext"))
    user = own.get("runAsUser", pod.get("runAsUser"))
    if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True or user == 0:
        yield f"{where} may run as root: set securityContext.runAsNonRoot to true and runAsUser to a number above 0"
    if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
        yield f"{where}.securityContext.allowPrivilegeEscalation must be false, and privileged left out"


def _memory(where: str, containers: list[dict[str, Any]], volumes: list[dict[str, Any]]) -> Iterator[str]:
    """What lies in volumes of memory counts as memory of the containers."""
    taken = Decimal(0)
    for volume in volumes:
        place, directory = f"{where}.spec.volumes: {volume.get('name')}", mapping(volume.get("emptyDir"))
        size = amount(directory.get("sizeLimit"))
        if directory.get("sizeLimit") is not None and size is None:
            yield f"{place}.emptyDir.sizeLimit={directory['sizeLimit']!r} is no quantity; write one such as 64Gi"
        elif directory.get("medium") == "Memory" and size is None:
            yield f"{place}.emptyDir is memory without a sizeLimit; give it one below the memory limit"
        elif directory.get("medium") == "Memory" and size is not None:
            taken += size
    limits = [amount(at(container, "resources", "limits", "memory")) for container in containers]
    if limits and None not in limits and taken >= sum(limit for limit in limits if limit is not None):
        total = sum(limit for limit in limits if limit is not None)
        yield (
            f"{where}: volumes of memory may grow to {int(taken):,} bytes (launch.shm), and the pod has {int(total):,} in all "
            "(launch.memory_per_node, launch.head_memory); raise that"
        )


def _writable(where: str, containers: list[dict[str, Any]]) -> Iterator[str]:
    for index, container in enumerate(containers[:1]):
        mounted = {mount.get("mountPath") for mount in mappings(container.get("volumeMounts"))}
        if at(container, "securityContext", "readOnlyRootFilesystem") and "/tmp" not in mounted:
            yield f"{where}.spec.containers[{index}]: its root is read-only, and Ray writes to /tmp; mount an emptyDir there"
        if "/dev/shm" not in mounted:
            yield f"{where}.spec.containers[{index}] has no /dev/shm of its own; mount an emptyDir with medium: Memory there"
