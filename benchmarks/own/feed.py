"""Batches through Ray: one consumer process, data-mixing workers, blocks of 2 MiB by way of the object store."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from benchmarks.answers import serve
from benchmarks.own import plane
from benchmarks.peers.port import Mix
from benchmarks.rows import SEQUENCE_LENGTH
from orchestrator.feed.loader import Batch, load_batches
from orchestrator.feed.worker import FeedWorker, Place, start_workers
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.plan_file import write_plan
from orchestrator.scheduling.cluster import cluster_nodes, ray_cluster

_PREFETCH_BLOCKS = 4  # as conf/feed has it
_CORES = 2


_SMALL_BLOCK_STEPS = 16  # many calls for the same batches


def _places(num_workers: int) -> list[Place]:
    return [Place(node["NodeID"], False) for node in cluster_nodes()] * num_workers


def _batches(workers: list[FeedWorker], plan: Plan, each: int) -> Iterator[Batch]:
    return load_batches(workers, range(plan.steps), steps_per_block=each, prefetch_blocks=_PREFETCH_BLOCKS, rank_of=(0, 1))


def throughput(request: dict[str, Any]) -> dict[str, list[float]]:
    """Tokens a second for each number of workers, in turn: after what was asked for ahead, over a window of time."""
    shards, mix = Path(request["data"], "ours"), Mix(**request["mix"])
    plan = plane.plan_of_mix(shards, mix)
    each = plane.block_steps(plan.sequences_per_step)
    found: dict[str, list[float]] = {str(num_workers): [] for num_workers in request["workers"]}
    with TemporaryDirectory() as folder, ray_cluster(num_cpus=_CORES):
        write_plan(plan, Path(folder, "plan.json"))
        workers = start_workers(Path(folder, "plan.json"), shards, _places(max(request["workers"])))
        for _ in range(request["repetitions"]):
            for num_workers in request["workers"]:
                found[str(num_workers)].append(_window(_batches(workers[:num_workers], plan, each), each, request["seconds"]))
    return found


def _window(batches: Iterator[Batch], each: int, seconds: float) -> float:
    for _ in itertools.islice(batches, _PREFETCH_BLOCKS * each):
        pass
    began = now = time.perf_counter()
    sequences = 0
    for batch in batches:
        sequences += len(batch.tokens)
        now = time.perf_counter()
        if now - began >= seconds:
            break
    return sequences * SEQUENCE_LENGTH / (now - began)


def memory(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Memory of consumer and worker after some numbers of one-sequence batches."""
    shards, mix = Path(request["data"], "ours"), Mix(**request["mix"])
    plan = plane.plan_of_mix(shards, mix)
    seen: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder, ray_cluster(num_cpus=_CORES):
        write_plan(plan, Path(folder, "plan.json"))
        batches = _batches(start_workers(Path(folder, "plan.json"), shards, _places(1)), plan, _SMALL_BLOCK_STEPS)
        done = 0
        for number in request["batches"]:
            for _ in itertools.islice(batches, number - done):
                pass
            done = number
            seen.append({"batches": number, "consumer": _memory(psutil.Process()), "worker": _memory(_worker_process())})
    return seen


def _worker_process() -> psutil.Process:
    (worker,) = [child for child in psutil.Process().children(recursive=True) if child.name().startswith("ray::_Worker")]
    return worker


def _memory(process: psutil.Process) -> dict[str, int]:
    """Resident bytes, and those of them that are neither files nor shared memory."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
    return {"rss_bytes": _kilobytes(status["VmRSS"]), "private_bytes": _kilobytes(status["RssAnon"])}


def _kilobytes(said: str) -> int:
    return int(said.split()[0]) << 10


if __name__ == "__main__":
    serve({"throughput": throughput, "memory": memory})
