"""What is submitted, and how it stands there, the same for every platform."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from orchestrator.config.operation import SchedulingConfig
from orchestrator.errors import ConfigError
from orchestrator.runs.directory import RunDirectory


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """Which part of a cluster a run takes.

    Attributes:
        nodes: how many.
        ranks_per_node: on each of them.
        gpus_per_node: that each gives to its ranks.
    """

    nodes: int
    ranks_per_node: int
    gpus_per_node: int

    def __str__(self) -> str:
        nodes, ranks = _counted(self.nodes, "node"), _counted(self.ranks_per_node, "rank")
        gpus = f"with {_counted(self.gpus_per_node, 'GPU')}" if self.gpus_per_node else "without GPUs (scheduling.gpus_per_rank=0)"
        return f"{nodes} of {ranks} {gpus}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A submission of one run, or of several as an array.

    Attributes:
        name: of the run, or of the array.
        runs: their directories.
        number: of the submission, from 1, the same in all of its runs.
        key: what no other submission has; the platform can be asked for it.
        shape: the part of the cluster of one run.
        scheduling: of the run's configuration.
        settings: of the platform.
        profile: where these are from.
        first_checkpoint_seconds: how long after its start a run is expected to be saved for the first time, as far as that is known.
        paths: the directories that the nodes have to see, each with its key in the configuration.
    """

    name: str
    runs: tuple[RunDirectory, ...]
    number: int
    key: str
    shape: Shape
    scheduling: SchedulingConfig
    settings: Any
    profile: str
    first_checkpoint_seconds: float = 0.0
    paths: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class JobState:
    """How a job stands on its platform.

    Attributes:
        phase: `waiting`, `running`, `ended` (it will not start again by itself), `gone` (the platform knows it no more) or `unknown`
            (the platform does not answer).
        word: the platform's own for it.
        why: it waits or ended, as far as the platform says; why the platform does not answer.
        nodes: where it runs.
        given_up: whether the platform has ended it for reasons of its own, and will not start it again.
        failed: whether it has ended with an error; the run's ledger knows which.
    """

    phase: str
    word: str = ""
    why: str = ""
    nodes: str = ""
    given_up: bool = False
    failed: bool = False

    @property
    def is_alive(self) -> bool:
        return self.phase in ("waiting", "running")


class Platform(Protocol):
    """Where jobs are submitted to.

    Attributes:
        has_arrays: whether several runs can be one job.
    """

    has_arrays: bool

    def check_settings(self, job: Job) -> None:
        """Refuse settings that do not fit each other or the run. No question is asked.

        Raises:
            ConfigError: which, and what would fit.
        """

    def check(self, job: Job) -> None:
        """Refuse what this platform cannot do today, before anything is submitted.

        Raises:
            ConfigError: why, and what would work.
            InfrastructureError: the platform does not answer.
        """

    def render(self, job: Job) -> dict[str, str]:
        """What is submitted: the text of each file, by its name. The first one is submitted."""

    def own(self, job: Job) -> None:
        """Have the directories of the runs, as they were made, belong to whoever they are run by.

        Raises:
            ConfigError: that is not allowed.
        """

    def submit(self, job: Job, file: Path) -> str:
        """Submit a file.

        Returns:
            The job's id.

        Raises:
            InfrastructureError: the platform does not answer. Whether it has the job, `find` tells later.
        """

    def find(self, key: str) -> str | None:
        """The id of the job that was submitted with a key; none when there is none."""

    def look(self, jobs: Mapping[str, str]) -> dict[str, JobState]:
        """How jobs stand, by their ids; each is given with its key, as ids may be used again. It does not fail: see `JobState.phase`."""

    def cancel(self, job: str, key: str) -> None:
        """End a job, and have it not start again. One with another key is not it.

        Raises:
            InfrastructureError: the platform does not answer.
        """

    def kept(self, settings: Any) -> Any:
        """The settings as they are written down with a submission: what they leave to where the command is given is settled."""


def shape_of(scheduling: SchedulingConfig, ranks_per_node: int) -> Shape:
    """Divide ranks among nodes.

    Raises:
        ConfigError: they do not fill whole nodes.
    """
    ranks = min(scheduling.world_size, ranks_per_node)
    nodes, rest = divmod(scheduling.world_size, ranks)
    if rest:
        fitting = max(1, nodes) * ranks
        raise ConfigError(
            f"scheduling.world_size={scheduling.world_size} does not fill nodes of launch.ranks_per_node={ranks_per_node}. Set it to "
            f"{fitting} or {fitting + ranks}, or change the ranks of a node."
        )
    return Shape(nodes=nodes, ranks_per_node=ranks, gpus_per_node=ranks * scheduling.gpus_per_rank)


def _counted(count: int, name: str) -> str:
    return f"{count:,} {name}{'' if count == 1 else 's'}"


_LOCAL_TYPES = {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "ramfs"}


def check_shared(paths: Iterable[tuple[str, str]], shared_paths: Sequence[str], *, is_elsewhere: bool) -> None:
    """Refuse directories that only this machine sees.

    Args:
        paths: the key of each in the configuration, and the directory.
        shared_paths: directories that the profile says all nodes see; none: the type of the file system decides.
        is_elsewhere: whether the job has another machine than this one.

    Raises:
        ConfigError: one is not shared.
    """
    for key, path in paths:
        if shared_paths and not any(Path(path).is_relative_to(shared) for shared in shared_paths):
            raise ConfigError(
                f"{key}={path} is in none of launch.shared_paths={', '.join(shared_paths)}, which all nodes see. Move it into one of them."
            )
        kind = _file_system(Path(path))
        if not shared_paths and is_elsewhere and kind in _LOCAL_TYPES:
            raise ConfigError(
                f"{key}={path} is on a file system of type {kind}, which this machine and the nodes most likely do not share. Set it to a "
                f"directory that all of them see, or name those in launch.shared_paths."
            )


def check_mounts(paths: Iterable[tuple[str, str]], mounts: Sequence[str]) -> None:
    """Refuse directories that a container does not have where the configuration says they are.

    Args:
        paths: the key of each in the configuration, and the directory.
        mounts: of the profile, PATH or SOURCE:TARGET.

    Raises:
        ConfigError: one is not mounted at its own path.
    """
    own = [parts[0] for mount in mounts if len(parts := mount.split(":")) == 1 or parts[0] == parts[1]]
    for key, path in paths:
        if not any(Path(path).is_relative_to(place) for place in own):
            raise ConfigError(
                f"{key}={path} is not in the container: launch.container.mounts={', '.join(mounts) or '[]'}. Mount it at its own "
                f"path: {Path(path).parent}:{Path(path).parent}."
            )


def _file_system(path: Path) -> str:
    """The type of the file system that a path is, or would be, on."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    holding = [mount for mount in mounts if path.is_relative_to(mount[1].replace("\\040", " "))]
    return max(holding, key=lambda mount: len(mount[1]))[2] if holding else ""
