"""A Ray cluster to run on: the one that RAY_ADDRESS names, or one of our own on this machine, gone without a trace afterwards."""

import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from orchestrator.ray_variables import RAY_VARIABLES

os.environ.update(RAY_VARIABLES | os.environ)  # read when ray is imported

import ray

from orchestrator.errors import InfrastructureError, InterruptedRunError
from orchestrator.scheduling.leftovers import own_folder, sweep
from orchestrator.scheduling.sharing import SHARED, own_token

_OBJECT_STORE_BYTES = 256 << 20
LOST: tuple[type[Exception], ...] = (OSError, ray.exceptions.RayError)  # what a lost cluster, disk or connection raises


@contextmanager
def ray_cluster(num_cpus: int, num_gpus: int | None = 0, environment: Mapping[str, str] | None = None) -> Iterator[dict[str, str]]:
    """Connect to Ray for as long as the context lasts.

    Args:
        num_cpus: logical CPUs that a cluster of our own must offer.
        num_gpus: GPUs likewise; none: those that the machine has.
        environment: variables that processes which are started on it may want. A cluster of our own has them from its start, as a process
            of Ray's with variables of its own takes more than a second longer to start.

    Yields:
        Those of these variables that such processes must still be given.

    Raises:
        InfrastructureError: there is no cluster and none can be started.
        InterruptedRunError: a signal came that nobody else took.
    """
    sweep()
    address = os.environ.get("RAY_ADDRESS", "local")
    if address != "local":
        with own_folder():
            has_them = os.environ.get(SHARED) == address
            yield from _connected(address, {}, {} if has_them else dict(environment or {}))
        return
    os.environ.update(own_token())
    with own_folder() as folder, _variables({"TMPDIR": str(folder), **(environment or {})}):
        own = {
            "num_cpus": max(num_cpus, len(os.sched_getaffinity(0))),
            "num_gpus": num_gpus,
            "object_store_memory": _OBJECT_STORE_BYTES,
            "include_dashboard": False,
            "_temp_dir": str(folder),
        }
        yield from _connected(address, own, {})


@contextmanager
def _variables(environment: Mapping[str, str]) -> Iterator[None]:
    """Variables for the processes that are started within the context."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _connected(address: str, own: dict[str, Any], environment: dict[str, str]) -> Iterator[dict[str, str]]:
    try:
        _connect(address, own)
        yield environment
    except (SystemExit, KeyboardInterrupt):  # Ray's own handler of SIGTERM exits
        raise InterruptedRunError(
            "stopped by a signal. Go on with `midtrain prepare` or `midtrain resume`; what is done is kept."
        ) from None
    finally:
        with _undisturbed():
            ray.shutdown()


def _connect(address: str, own: dict[str, Any]) -> None:
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except Exception as error:  # a node that does not come up in time is a bare Exception of Ray's
        remedy = "See that this machine has memory and disk left, and try again." if own else "Unset RAY_ADDRESS to start one here."
        raise InfrastructureError(f"no Ray cluster at RAY_ADDRESS={address}: {str(error).removesuffix('.')}. {remedy}") from error


@contextmanager
def _undisturbed() -> Iterator[None]:
    """No second Ctrl-C leaves half a cluster behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def cluster_address() -> str:
    """Of the connected cluster, as RAY_ADDRESS has it."""
    return str(ray.get_runtime_context().gcs_address)


def is_down() -> bool:
    """Whether a server of the cluster that this process has started is dead, without which no other process can use it."""
    dead = {kind for kind, _ in ray._private.worker._global_node.dead_processes()}
    return bool(dead & {"raylet", "gcs_server"})


def pool_size() -> int:
    """How many tasks of one CPU the connected cluster runs side by side."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def cluster_nodes() -> list[dict[str, Any]]:
    """The nodes of the connected cluster that are there to stay, as Ray tells of them, with `Available`, what nobody has taken of them."""
    available, draining = ray._private.state.available_resources_per_node(), draining_nodes()
    there = [node for node in ray.nodes() if node["Alive"] and node["NodeID"] not in draining]
    return [node | {"Available": available.get(node["NodeID"], {})} for node in there]


def draining_nodes() -> list[str]:
    """Ray's ids of the nodes that the connected cluster is about to take away."""
    return list(ray._private.state.state.get_draining_nodes())
