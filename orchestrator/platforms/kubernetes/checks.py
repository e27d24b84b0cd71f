"""Whether a cluster has what a job names. What may not be looked up is passed over: it shows later, by `look`."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import ConfigError
from orchestrator.platforms.job import Job
from orchestrator.platforms.kubernetes.client import RIGHTS, Api, RefusedError, Thing
from orchestrator.platforms.kubernetes.parsing import at, mapping, mappings
from orchestrator.platforms.kubernetes.quantities import amount
from orchestrator.platforms.settings import KubernetesSettings, seconds_of

_END_SECONDS = 30  # Ray's own, after the ranks have left
_SHM_BYTES = 256 << 20


def check_settings(job: Job) -> None:
    """Refuse settings that do not fit each other or the run. No question is asked.

    Raises:
        ConfigError: which, and what would fit.
    """
    settings: KubernetesSettings = job.settings
    grace, needed = settings.grace_seconds, job.scheduling.preemption.grace_seconds + _END_SECONDS
    if grace < needed:
        raise ConfigError(
            f"launch.grace_seconds={grace} is less than scheduling.preemption.grace_seconds={job.scheduling.preemption.grace_seconds:g} "
            f"and the {_END_SECONDS} s that Ray needs to end. Set it to {needed:g} or more."
        )
    least = grace + job.first_checkpoint_seconds
    if settings.time_limit and seconds_of(settings.time_limit) <= least:
        raise ConfigError(
            f"launch.time_limit={settings.time_limit} is over before the run's first checkpoint, {job.first_checkpoint_seconds:,.0f} s "
            f"after its start, and launch.grace_seconds={grace}. Set it to more than {least:,.0f} s, or to null."
        )
    cpus, shm = amount(settings.cpus_per_node), amount(settings.shm)
    if cpus is not None and cpus < job.shape.ranks_per_node:
        raise ConfigError(
            f"launch.cpus_per_node={settings.cpus_per_node} is less than one for each of the {job.shape.ranks_per_node} ranks of a node. "
            f"Set it to {job.shape.ranks_per_node} or more."
        )
    if shm is not None and shm < _SHM_BYTES:
        raise ConfigError(f"launch.shm={settings.shm} is less than the 256Mi that Ray and its object store need. Raise it.")
    if settings.topology and not settings.queue:
        raise ConfigError(f"launch.topology={settings.topology} is for Kueue to see to, and there is no launch.queue. Set that.")
    check_mounted([*(("run.dir", str(run.root)) for run in job.runs), *job.paths], settings.claims)


def check_mounted(paths: Iterable[tuple[str, str]], claims: Mapping[str, str]) -> None:
    """Refuse directories that pods do not see.

    Args:
        paths: the key of each in the configuration, and the directory.
        claims: launch.claims, by where they are mounted.

    Raises:
        ConfigError: one is below none of them.
    """
    for key, path in paths:
        if not any(Path(path).is_relative_to(mount) for mount in claims):
            mounted = f"launch.claims={', '.join(claims)}" if claims else "launch.claims={}"
            raise ConfigError(
                f"{key}={path} is below no claim that pods mount: {mounted}. Set it to a directory below one, or mount the claim that it "
                f"is on: 'launch.claims={{{Path(path).parent}: NAME}}'."
            )


def check_cluster(api: Api, job: Job) -> None:
    """Refuse what the cluster does not have.

    Raises:
        ConfigError: which, and what to do about it.
        InfrastructureError: the API server does not answer.
    """
    settings: KubernetesSettings = job.settings
    namespace = f"/api/v1/namespaces/{settings.namespace}"
    if _lacks(api, namespace):
        raise ConfigError(
            f"launch.namespace={settings.namespace}: there is no such namespace. Name one that is there (kubectl get namespaces)."
        )
    kinds = mappings(at(api.get("/apis/ray.io/v1"), "resources"))
    if "rayjobs" not in [kind.get("name") for kind in kinds]:
        raise ConfigError(
            "the cluster has no RayJobs: KubeRay is not installed, or older than 1.0. Have its operator installed, 1.7 or later."
        )
    if _lacks(api, f"{namespace}/serviceaccounts/{settings.service_account}"):
        raise ConfigError(
            f"launch.service_account={settings.service_account}: namespace {settings.namespace} has no such account. Make it: kubectl "
            f"apply -n {settings.namespace} -f {RIGHTS}."
        )
    for path, claim in settings.claims.items():
        writes = any(run.root.is_relative_to(path) for run in job.runs)
        _check_claim(_read(api, f"{namespace}/persistentvolumeclaims/{claim}"), settings, claim, writes)
    if settings.priority_class and _lacks(api, f"/apis/scheduling.k8s.io/v1/priorityclasses/{settings.priority_class}"):
        raise ConfigError(f"launch.priority_class={settings.priority_class}: there is no such class (kubectl get priorityclasses).")
    if settings.queue:
        _check_queue(api, settings.namespace, settings.queue)
    _check_nodes(_nodes(api), job)


def _read(api: Api, path: str) -> Thing | None:
    """A thing, nothing when there is none, and an empty one when it may not be read."""
    try:
        return api.get(path)
    except RefusedError as refusal:
        if refusal.status == 403:
            return {}
        raise


def _lacks(api: Api, path: str) -> bool:
    return _read(api, path) is None


def _check_claim(claim: Thing | None, settings: KubernetesSettings, name: str, writes: bool) -> None:
    if claim is None:
        raise ConfigError(
            f"launch.claims has {name}, and namespace {settings.namespace} has no such claim. Make it, with access mode ReadWriteMany, or "
            f"name one that is there (kubectl get pvc -n {settings.namespace})."
        )
    modes = at(claim, "spec", "accessModes")
    fitting = ("ReadWriteMany",) if writes else ("ReadWriteMany", "ReadOnlyMany")
    if isinstance(modes, list) and not set(modes) & set(fitting):
        raise ConfigError(
            f"launch.claims has {name}, whose access modes are {', '.join(modes)}: the head and the workers of a run stand on several "
            f"nodes. Name a claim with {' or '.join(fitting)}."
        )
    if at(claim, "status", "phase") == "Lost":
        raise ConfigError(f"launch.claims has {name}, which has lost its volume. Name another.")


def _check_queue(api: Api, namespace: str, queue: str) -> None:
    group = _read(api, "/apis/kueue.x-k8s.io")
    if group is None:
        raise ConfigError(f"launch.queue={queue}: Kueue is not installed, so the run would be suspended for good. Set launch.queue=null.")
    version = at(group, "preferredVersion", "version")
    if version and _lacks(api, f"/apis/kueue.x-k8s.io/{version}/namespaces/{namespace}/localqueues/{queue}"):
        raise ConfigError(
            f"launch.queue={queue}: namespace {namespace} has no such queue, so the run would be suspended for good. Name one that is "
            f"there (kubectl get localqueues -n {namespace})."
        )


def _nodes(api: Api) -> list[Thing]:
    try:
        return api.items("/api/v1/nodes")
    except RefusedError as refusal:
        if refusal.status == 403:
            return []
        raise


def _check_nodes(nodes: list[Thing], job: Job) -> None:
    """Refuse what no node is large enough for. Where none has the labels asked for, such nodes may be made on demand."""
    settings: KubernetesSettings = job.settings
    fitting = [node for node in nodes if settings.node_selector.items() <= mapping(at(node, "metadata", "labels")).items()]
    if not fitting:
        return
    for key, resource, wanted in _wanted(job, settings):
        most = max((str(at(node, "status", "allocatable", resource) or "0") for node in fitting), key=lambda value: amount(value) or 0)
        if (amount(wanted) or 0) > (amount(most) or 0):
            hint = "" if settings.node_selector else ", or name the labels of nodes that are made on demand in launch.node_selector"
            raise ConfigError(f"{key} takes {wanted} of {resource} on a node, and no node has more than {most}. Lower it{hint}.")


def _wanted(job: Job, settings: KubernetesSettings) -> Iterator[tuple[str, str, Any]]:
    if job.shape.gpus_per_node:
        yield f"launch.ranks_per_node={settings.ranks_per_node}", settings.gpu_resource, job.shape.gpus_per_node
    yield f"launch.cpus_per_node={settings.cpus_per_node}", "cpu", settings.cpus_per_node
    yield f"launch.memory_per_node={settings.memory_per_node}", "memory", settings.memory_per_node
    for resource, count in settings.resources.items():
        yield f"launch.resources.{resource}={count}", resource, count
