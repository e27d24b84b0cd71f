"""Whether a Slurm partition can give a job what it asks for. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.errors import ConfigError
from orchestrator.platforms.job import Job
from orchestrator.platforms.settings import SlurmSettings, seconds_of

_GPUS = re.compile(r"gpu(?::[^:,()]+)?:(\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Nodes:
    """Nodes of a partition that are alike.

    Attributes:
        partition: its name.
        is_up: whether it takes jobs.
        time_limit_seconds: none: it has none.
        count, cpus, gpus: how many nodes, and how much of each.
    """

    partition: str
    is_up: bool
    time_limit_seconds: int | None
    count: int
    cpus: int
    gpus: int


def read_nodes(said: str) -> list[Nodes]:
    """What `sinfo --exact --format=%R|%a|%l|%D|%c|%G` says."""
    return [_nodes(line) for line in said.splitlines() if line.strip()]


def _nodes(line: str) -> Nodes:
    partition, availability, limit, count, cpus, gres = line.split("|")
    return Nodes(
        partition=partition,
        is_up=availability == "up",
        time_limit_seconds=_seconds(limit),
        count=int(count),
        cpus=int(cpus.rstrip("+")),
        gpus=sum(map(int, _GPUS.findall(gres))),
    )


def _seconds(limit: str) -> int | None:
    """Of 1-00:00:00, 12:00:00 or 30:00; none of `infinite` and `n/a`."""
    if ":" not in limit:
        return None
    return seconds_of(f"00:{limit}" if limit.count(":") == 1 else limit)


def check_partition(known: Sequence[Nodes], job: Job) -> None:
    """Refuse what no node of the partition can give.

    Args:
        known: all partitions' nodes. Without a name in the settings, Slurm chooses; then any partition will do.
        job: what is asked for.

    Raises:
        ConfigError: there is no such partition, it is down, its time limit is shorter, or too few of its nodes are large enough.
    """
    settings: SlurmSettings = job.settings
    names = settings.partition.split(",") if settings.partition else sorted({nodes.partition for nodes in known})
    for name in names:
        if name not in {nodes.partition for nodes in known}:
            there = ", ".join(sorted({nodes.partition for nodes in known}))
            raise ConfigError(f"launch.partition={name}: there is no such partition. Partitions: {there}.")
    candidates = [nodes for nodes in known if nodes.partition in names]
    if not any(nodes.is_up for nodes in candidates):
        raise ConfigError(f"launch.partition={','.join(names)} is down. Wait for it, or choose another.")
    _check_limit(candidates, settings)
    if not any(_fits(candidates, job, name) for name in names):
        _refuse_size(candidates, job)


def _check_limit(candidates: Sequence[Nodes], settings: SlurmSettings) -> None:
    limits = [nodes.time_limit_seconds for nodes in candidates]
    longest = None if None in limits else max(limit for limit in limits if limit is not None)
    if longest is not None and seconds_of(settings.time_limit) > longest:
        raise ConfigError(
            f"launch.time_limit={settings.time_limit} is longer than the {longest:,} s that the partition allows. Lower it; a longer run "
            f"goes on in the next job."
        )


def _fits(candidates: Sequence[Nodes], job: Job, partition: str) -> bool:
    enough = [nodes for nodes in candidates if nodes.partition == partition and nodes.is_up]
    large = [nodes for nodes in enough if nodes.cpus >= job.settings.cpus_per_node and nodes.gpus >= job.shape.gpus_per_node]
    return sum(nodes.count for nodes in large) >= job.shape.nodes


def _refuse_size(candidates: Sequence[Nodes], job: Job) -> None:
    shape, cpus = job.shape, job.settings.cpus_per_node
    gpus, most = max(nodes.gpus for nodes in candidates), max(nodes.cpus for nodes in candidates)
    if shape.gpus_per_node > gpus:
        raise ConfigError(
            f"launch.ranks_per_node={job.settings.ranks_per_node} takes {shape.gpus_per_node} GPUs a node, and no node there has more than "
            f"{gpus}. Lower it{f' to {gpus}' if gpus else ', or set scheduling.gpus_per_rank=0'}, or choose another partition."
        )
    if cpus > most:
        raise ConfigError(f"launch.cpus_per_node={cpus} is more than the {most} of the largest node there. Lower it.")
    raise ConfigError(
        f"scheduling.world_size={job.scheduling.world_size} takes {shape.nodes} nodes of {cpus} CPUs and {shape.gpus_per_node} GPUs, and "
        f"no partition of those asked for has as many. Lower it, or choose another partition."
    )
