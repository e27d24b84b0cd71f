"""What a machine grants a process: shared memory, limits, ports, and the versions of what is installed."""

import platform
import resource
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil

from orchestrator.doctor.findings import Finding, at_least, finding

UNLIMITED = float("inf")

_PACKAGES = ("torch", "ray", "deepspeed", "transformers", "midtrain")
_CONNECT_SECONDS = 3.0

# Ray's own numbers: below the first it warns of connections that fail, the second it recommends (`ray.init`).
_FEWEST_FILES, _ENOUGH_FILES = 4096, 8192
# Threads count as processes. A raylet, its workers and the ranks have some hundred each on a node of 8 GPUs.
_FEWEST_PROCESSES, _ENOUGH_PROCESSES = 2048, 16384
# What a Ray cluster of our own keeps in it; NVIDIA's containers ask for 1 GiB (NCCL and torch).
_LEAST_SHM_BYTES, _ENOUGH_SHM_BYTES = 256 << 20, 1 << 30


@dataclass(frozen=True, kw_only=True, slots=True)
class MachineFacts:
    """As a process on it sees them.

    Attributes:
        shm_bytes: free in /dev/shm; none: there is no such file system.
        open_files, processes, locked_bytes: the limits that a process may raise its own to; infinite: there is none.
        versions: of Python and of packages; one that is missing has none.
    """

    shm_bytes: int | None
    open_files: float
    processes: float
    locked_bytes: float
    versions: Mapping[str, str | None]


def look_at_machine(shm: Path = Path("/dev/shm")) -> MachineFacts:
    """Look.

    Args:
        shm: where the shared memory is.
    """
    return MachineFacts(
        shm_bytes=psutil.disk_usage(str(shm)).free if shm.is_dir() else None,
        open_files=_hard_limit(resource.RLIMIT_NOFILE),
        processes=_hard_limit(resource.RLIMIT_NPROC),
        locked_bytes=_hard_limit(resource.RLIMIT_MEMLOCK),
        versions={"python": platform.python_version()} | {package: _version(package) for package in _PACKAGES},
    )


def judge_machine(facts: MachineFacts, where: str, *, gpus_per_rank: int) -> Iterator[Finding]:
    """What of it would harm a run.

    Args:
        facts: of the machine.
        where: its name.
        gpus_per_rank: 0: nothing is asked of locked memory.
    """
    yield finding(
        "/dev/shm",
        where,
        "bad" if facts.shm_bytes is None else at_least(facts.shm_bytes, enough=_ENOUGH_SHM_BYTES, too_little=_LEAST_SHM_BYTES),
        "there is none" if facts.shm_bytes is None else f"{facts.shm_bytes / 2**20:,.0f} MiB free",
        limit="1,024 MiB, at the least 256",
        remedy="Remove what is left in it, or give the container more: docker --shm-size=8g, in Kubernetes an emptyDir of medium Memory.",
    )
    yield finding(
        "open files",
        where,
        at_least(facts.open_files, enough=_ENOUGH_FILES, too_little=_FEWEST_FILES),
        _count(facts.open_files),
        limit=f"{_ENOUGH_FILES:,}, at the least {_FEWEST_FILES:,}",
        remedy="Have the hard limit raised: nofile in /etc/security/limits.conf, LimitNOFILE of slurmd or of the container runtime.",
    )
    yield finding(
        "processes",
        where,
        at_least(facts.processes, enough=_ENOUGH_PROCESSES, too_little=_FEWEST_PROCESSES),
        _count(facts.processes),
        limit=f"{_ENOUGH_PROCESSES:,}, at the least {_FEWEST_PROCESSES:,}",
        remedy="Have the hard limit raised: nproc in /etc/security/limits.conf, LimitNPROC of slurmd or of the container runtime.",
    )
    yield _judge_locked(facts, where, gpus_per_rank)
    yield _judge_versions(facts, where)


def _judge_locked(facts: MachineFacts, where: str, gpus_per_rank: int) -> Finding:
    is_enough = not gpus_per_rank or facts.locked_bytes == UNLIMITED
    return finding(
        "locked memory",
        where,
        "good" if is_enough else "warning",
        "unlimited" if facts.locked_bytes == UNLIMITED else f"{facts.locked_bytes / 2**20:,.0f} MiB",
        limit="unlimited, for RDMA" if gpus_per_rank else "any, without GPUs",
        remedy="RDMA cannot register memory beyond it, and NCCL fails or falls back to sockets. Have memlock set to unlimited.",
    )


def _judge_versions(facts: MachineFacts, where: str) -> Finding:
    missing = [package for package, version in facts.versions.items() if version is None]
    return finding(
        "versions",
        where,
        "bad" if missing else "good",
        ", ".join(f"{package} {version or 'missing'}" for package, version in facts.versions.items()),
        limit="all installed",
        remedy=f"Install midtrain there with what it needs: {', '.join(missing)} cannot be found.",
    )


def check_ports(where: str, addresses: Sequence[str] | None = None) -> Finding:
    """Whether a process can listen on a free port, and another reach it at each of the machine's addresses.

    Args:
        where: the machine's name.
        addresses: to reach it at; none: those of its interfaces that are up.
    """
    limit, remedy = "reached at each address", "See what filters connections of this machine to itself (firewall, network namespace)."
    try:
        with socket.create_server(("", 0)) as listener:
            port = listener.getsockname()[1]
            found = _addresses() if addresses is None else addresses
            deaf = [address for address in found if not _is_reached(address, port)]
    except OSError as error:
        return finding(
            "ports", where, "bad", f"no port can be listened on: {error.strerror}", limit=limit, remedy="Free some: ss -tlnp tells whose."
        )
    value = f"not reached: port {port} at {', '.join(deaf)}" if deaf else f"port {port} reached at {', '.join(found)}"
    return finding("ports", where, "bad" if deaf else "good", value, limit=limit, remedy=remedy)


def _addresses() -> list[str]:
    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    found = {
        one.address for name, several in psutil.net_if_addrs().items() if name in up for one in several if one.family == socket.AF_INET
    }
    return sorted(found)


def _is_reached(address: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((address, port), _CONNECT_SECONDS):
        return True
    return False


def _hard_limit(kind: int) -> float:
    _, hard = resource.getrlimit(kind)
    return UNLIMITED if hard == resource.RLIM_INFINITY else hard


def _version(package: str) -> str | None:
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    return None


def _count(value: float) -> str:
    return "unlimited" if value == UNLIMITED else f"{value:,.0f}"
