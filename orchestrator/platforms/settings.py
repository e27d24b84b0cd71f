"""How a run is submitted to a platform: the settings of a site's profile, frozen and strict."""

import re
from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.dataclasses import dataclass

from orchestrator.config.secrets import refuse_secrets_within
from orchestrator.config.values import STRICT, Count, CountOrNone, Folder
from orchestrator.errors import ConfigError

_DIGEST = re.compile(r"[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}")
_CLOCK = re.compile(r"(?:(\d+)-)?(\d{1,2}):(\d{2}):(\d{2})")


def seconds_of(time_limit: str) -> int:
    """The seconds of a time such as 1-12:00:00 (days, hours, minutes, seconds)."""
    found = _CLOCK.fullmatch(time_limit)
    if not found:
        raise ValueError(f"{time_limit!r} is no time. Write D-HH:MM:SS or HH:MM:SS, as '1-12:00:00'.")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def clock_of(seconds: int) -> str:
    """The time that `seconds_of` reads as so many seconds."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days}-{hours:02}:{minutes:02}:{seconds:02}"


def _clock(text: Any) -> Any:
    if not isinstance(text, str):
        raise ValueError(f"it is read as {text!r}, which is no time. Put it in quotes, as '12:00:00'.")
    if not seconds_of(text):
        raise ValueError(f"{text!r} is no time at all. Write how long the job may take.")
    return text


def _quantity(value: Any) -> Any:
    """YAML reads 64 as a number, which Kubernetes takes as a quantity, too."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _one_line(text: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("it has a control character in it, such as a line's end. Take it out.")
    return text


def _by_digest(image: str) -> str:
    if not _DIGEST.fullmatch(image):
        raise ValueError(
            f"{image!r} does not say which image that is for good. Write it by its digest, NAME@sha256:…, as `docker inspect "
            f"--format '{{{{.RepoDigests}}}}' NAME` shows it."
        )
    return image


Line = Annotated[str, AfterValidator(_one_line)]
Words = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:/@+=,&|*\[\]()%-]+$")]  # what Slurm calls partitions, accounts, features, GPUs, hosts
Clock = Annotated[str, BeforeValidator(_clock)]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Quantity = Annotated[str, BeforeValidator(_quantity), Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$")]
DnsName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
MountPath = Annotated[str, Field(pattern=r"^/[^:\x00-\x1f\x7f]+$")]
ByDigest = Annotated[str, AfterValidator(_by_digest)]


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class LocalSettings:
    """This machine: a process that outlives the terminal."""

    platform: Literal["local"]
    environment: dict[Variable, Line] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class ContainerSettings:
    """The image that steps run in."""

    runtime: Literal["pyxis", "apptainer"]
    image: Line  # what the runtime takes: a .sqsh or .sif file, or a name
    mounts: tuple[Line, ...]  # SOURCE:TARGET; /tmp is always one, as Ray's sockets are there


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class SlurmSettings:
    """A Slurm cluster."""

    platform: Literal["slurm"]
    template: Line  # of the batch script, below launch/
    partition: Words | None
    account: Words | None
    qos: Words | None
    constraint: Words | None
    reservation: Words | None
    time_limit: Clock
    stop_before_seconds: Count  # how long before the time limit the run is asked to save and stop
    ranks_per_node: Count  # GPUs a node, with scheduling.gpus_per_rank=1
    cpus_per_node: Count
    memory_per_node: Annotated[str, Field(pattern=r"^[0-9]+[KMGT]?$")]  # 0: all of it
    gres: Words | None  # what a GPU is called, as gpu:h100; null: none is asked for
    exclude: tuple[Words, ...]  # nodes that are not to be used
    exclude_failed: bool  # exclude, too, those on which ranks failed alone scheduling.exclude_node_after times in the job before
    container: ContainerSettings | None
    environment: dict[Variable, Line]
    setup: tuple[Line, ...]  # lines of shell before all else, as `module load cuda`; what they put on the PATH goes first
    shared_paths: tuple[Folder, ...]  # directories that all nodes see; none: looked up by the type of their file systems
    max_restarts: CountOrNone  # restarts, Slurm's own among them, from which on the script has the job requeued no more
    max_resubmissions: CountOrNone  # of what Slurm has ended and not requeued; by `launch --watch` and `status`, without progress between
    at_once: Count | None  # tasks of an array that run side by side; null: all
    after: tuple[Folder, ...]  # directories of runs that must be done before

    def __post_init__(self) -> None:
        _refuse_secret_variables(self.environment)


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class SecretKey:
    """A value of a Kubernetes Secret."""

    name: DnsName
    key: Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$")]


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class KubernetesSettings:
    """A Kubernetes cluster with KubeRay."""

    platform: Literal["kubernetes"]
    template: Line  # of the RayJob, below launch/
    context: Line | None  # of the kubeconfig; null: its current one
    namespace: DnsName
    image: ByDigest
    service_account: DnsName
    claims: dict[MountPath, DnsName]  # where each PersistentVolumeClaim is mounted; the login node must see the same files there
    ranks_per_node: Count
    cpus_per_node: Quantity
    memory_per_node: Quantity
    shm: Quantity  # /dev/shm of a node, part of its memory
    head_cpus: Quantity
    head_memory: Quantity
    gpu_resource: Annotated[str, Field(pattern=r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$")]
    resources: dict[Annotated[str, Field(pattern=r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$")], Count]  # more of each node, as rdma/hca
    queue: DnsName | None  # Kueue's LocalQueue; the job is submitted suspended, and Kueue starts it when there is room for all
    priority_class: DnsName | None
    topology: Line | None  # a level of Kueue's topology that all workers must share, as cloud.google.com/gce-topology-block
    node_selector: dict[Line, Line]
    tolerations: tuple[dict[str, Any], ...]
    labels: dict[Line, Line]
    annotations: dict[Line, Line]
    environment: dict[Variable, Line]
    secrets: dict[Variable, SecretKey]
    grace_seconds: Count  # from the order to stop until pods are killed
    start_seconds: Count  # from when pods are made until all must be up
    time_limit: Clock | None  # of each of KubeRay's tries; null: none
    keep_seconds: CountOrNone  # how long the cluster of a job that has ended is kept
    max_retries: CountOrNone  # by KubeRay, each on a new cluster
    max_resubmissions: CountOrNone  # by `midtrain launch --watch` and `midtrain status`, without progress between

    def __post_init__(self) -> None:
        _refuse_secret_variables(self.environment)


Settings = LocalSettings | SlurmSettings | KubernetesSettings
KINDS: dict[str, type[Settings]] = {"local": LocalSettings, "slurm": SlurmSettings, "kubernetes": KubernetesSettings}


def _refuse_secret_variables(environment: dict[str, str]) -> None:
    try:
        refuse_secrets_within(environment, "environment")
    except ConfigError as error:
        raise ValueError(str(error)) from None
