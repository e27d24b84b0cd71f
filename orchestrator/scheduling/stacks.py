"""The end of ranks that hang: every one writes the stacks of its threads into its log, its state is noted, then it and its children go."""

import signal
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.scheduling.phases import Sighting
from orchestrator.scheduling.processes import end_trees, send

_WRITING_SECONDS = 3.0
_LOOK_SECONDS = 1.0
_NODE_SECONDS = 30.0  # for all nodes together


def end_ranks(sightings: Sequence[Sighting]) -> dict[int, str]:
    """Make ranks write their stacks, and end them, on whatever nodes they are.

    Args:
        sightings: the ranks that are still there.

    Returns:
        What each rank's process was found doing, by rank.
    """
    here = ray.get_runtime_context().get_node_id()
    by_node: dict[str, list[Sighting]] = defaultdict(list)
    for sighting in sightings:
        by_node[sighting.node].append(sighting)
    asked = {node: _ask(node, there) for node, there in by_node.items() if node != here}
    states = end_on_node(by_node.get(here, []))
    deadline = time.monotonic() + _NODE_SECONDS
    for node, reference in asked.items():
        wait_for_node(reference, node, deadline)
        states |= _answer(reference, by_node[node])
    return states


def _ask(node: str, sightings: Sequence[Sighting]) -> Any:
    strategy = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
    return ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=strategy)(end_on_node).remote(sightings)


def wait_for_node(reference: Any, node: str, deadline: float) -> None:
    """Until a node has answered, or has no time left, or is no more: Ray lets what is asked of a dead one wait."""
    while (left := deadline - time.monotonic()) > 0 and not ray.wait([reference], timeout=min(_LOOK_SECONDS, left))[0]:
        if not any(one["NodeID"] == node and one["Alive"] for one in ray.nodes()):
            return


def _answer(reference: Any, sightings: Sequence[Sighting]) -> dict[int, str]:
    try:
        states: dict[int, str] = ray.get(reference, timeout=0)
        return states
    except ray.exceptions.RayError as error:
        return {sighting.rank: f"on a node that does not answer ({type(error).__name__})" for sighting in sightings}


def end_on_node(sightings: Sequence[Sighting]) -> dict[int, str]:
    """What `end_ranks` does on one node, where these ranks are.

    A stopped process is sent on its way after it was asked, as it can write nothing else; one that waits in the kernel cannot write.
    """
    processes = {sighting.rank: process for sighting in sightings if (process := _process(sighting))}
    states = {s.rank: _state(processes[s.rank]) if s.rank in processes else "dead" for s in sightings}
    sizes = {sighting.rank: _size(sighting) for sighting in sightings}
    for rank, process in processes.items():
        send(process, signal.SIGQUIT)
        if states[rank].startswith("stopped"):
            send(process, signal.SIGCONT)
    writing = [sighting for sighting in sightings if sighting.rank in processes and not states[sighting.rank].startswith("disk-sleep")]
    _wait_until(lambda: all(_size(sighting) > sizes[sighting.rank] for sighting in writing), _WRITING_SECONDS)
    end_trees(processes.values())
    return states


def _process(sighting: Sighting) -> psutil.Process | None:
    """The rank's process, unless another one has its id by now."""
    try:
        process = psutil.Process(sighting.pid)
        return process if abs(process.create_time() - sighting.created) < 1.0 else None
    except psutil.Error:
        return None


def _state(process: psutil.Process) -> str:
    """Such as `stopped (state T)`, or `sleeping in futex_wait_queue`: what the kernel says that the process waits in."""
    try:
        state = str(process.status())
    except psutil.Error:
        return "dead"
    letter = {"stopped": " (state T)", "tracing-stop": " (state t)", "disk-sleep": " (state D)"}.get(state, "")
    try:
        waits_in = Path(f"/proc/{process.pid}/wchan").read_text().strip("0\n ")
    except OSError:
        waits_in = ""
    return f"{state}{letter}{f' in {waits_in}' if waits_in else ''}"


def _size(sighting: Sighting) -> int:
    try:
        return Path(sighting.log).stat().st_size
    except OSError:
        return 0


def _wait_until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
