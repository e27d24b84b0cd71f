"""Jobs for the tests of this folder."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from orchestrator.config.load import load_config
from orchestrator.config.operation import SchedulingConfig
from orchestrator.platforms.job import Job, shape_of
from orchestrator.platforms.kubernetes.manifest import rayjob_manifest
from orchestrator.platforms.kubernetes.parsing import parse_manifest
from orchestrator.platforms.profiles import load_settings
from orchestrator.platforms.settings import KubernetesSettings
from orchestrator.runs.directory import RunDirectory

IMAGE = "registry.example.com/midtrain@sha256:" + "ab" * 32
WITHOUT_RAY = "annotations={k8s-lab/without-ray: 'true'}"  # the lab's: pods run their own commands, the submitter the entrypoint
SMALL = ("cpus_per_node='2'", "memory_per_node=2Gi", "shm=512Mi", "head_cpus='1'", "head_memory=1Gi", "ranks_per_node=2")


def settings_of(*overrides: str, profile: str = "kubernetes") -> KubernetesSettings:
    _, settings = load_settings("kubernetes", [f"profile={profile}", f"image={IMAGE}", *overrides])
    assert isinstance(settings, KubernetesSettings)
    return settings


@cache
def scheduling_of(ranks: int, gpus: int) -> SchedulingConfig:
    overrides = [f"scheduling.world_size={ranks}", f"scheduling.gpus_per_rank={gpus}", f"training.sequences_per_step={ranks}"]
    return load_config(["experiment=demo", *overrides]).scheduling


def make_job(settings: KubernetesSettings, *, name: str = "mine", ranks: int = 2, gpus: int = 0, **changes: Any) -> Job:
    """A job; `changes` are of its attributes."""
    scheduling = scheduling_of(ranks, gpus)
    job = Job(
        name=name,
        runs=(RunDirectory(Path("/runs") / name),),
        number=1,
        key=f"key-of-{name}",
        shape=shape_of(scheduling, settings.ranks_per_node),
        scheduling=scheduling,
        settings=settings,
        profile="kubernetes",
    )
    return replace(job, **changes)


def manifest_of(job: Job) -> dict[str, Any]:
    return parse_manifest(rayjob_manifest(job))


def pod_of(manifest: dict[str, Any], kind: str) -> dict[str, Any]:
    """The template of the head's, a worker's or the submitter's pod."""
    cluster = manifest["spec"]["rayClusterSpec"]
    templates = {
        "head": cluster["headGroupSpec"]["template"],
        "worker": cluster["workerGroupSpecs"][0]["template"],
        "submitter": manifest["spec"]["submitterPodTemplate"],
    }
    template: dict[str, Any] = templates[kind]
    return template


def container_of(manifest: dict[str, Any], kind: str) -> dict[str, Any]:
    container: dict[str, Any] = pod_of(manifest, kind)["spec"]["containers"][0]
    return container


def values_of(variables: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The variables that have a value, as a container gets them when no other variable has a name that they refer to."""
    return {variable["name"]: variable["value"].replace("$$", "$") for variable in variables if "value" in variable}


def without_ray(manifest: dict[str, Any], entrypoint: str) -> dict[str, Any]:
    """The manifest for a lab that shall start no Ray: pods that wait, and an entrypoint that the submitter runs itself."""
    manifest["spec"]["entrypoint"] = entrypoint
    manifest["spec"]["submitterConfig"]["backoffLimit"] = 0
    for kind in ("head", "worker"):
        container_of(manifest, kind)["command"] = ["sleep", "1000"]
        del container_of(manifest, kind)["lifecycle"]
        pod_of(manifest, kind)["spec"]["terminationGracePeriodSeconds"] = 1
    return manifest
