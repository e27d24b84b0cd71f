"""A large corpus of sparse shards: what planning costs, and what a late rank pays for its first batch and for a seek."""

import itertools
import time
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import xxhash

from benchmarks.answers import serve
from benchmarks.own import plane
from benchmarks.rows import SEQUENCE_LENGTH
from orchestrator.errors import ShardError
from orchestrator.mixture.plan_file import read_plan, write_plan
from orchestrator.mixture.summary import summarise
from orchestrator.shards.manifest import Shard, read_manifest

_SPEC_SHARE = Fraction(1, 20)
_WORLD_SIZE, _RANK = 4_096, 3_071
_SEQUENCES_PER_STEP = 2 * _WORLD_SIZE
_SEEKS = 20


def make(request: dict[str, Any]) -> None:
    """Sources of equal size as sparse shards of zeros, each with its manifest by the project's own writer."""
    folder, num_shards = Path(request["folder"]), request["shards"] // request["sources"]
    shard_tokens = request["tokens"] // request["shards"]
    for index in range(request["sources"]):
        source = folder / _name(index)
        if not _is_made(source):
            source.mkdir(parents=True, exist_ok=True)
            plane.write_source(source, [_sparse_shard(source, number, shard_tokens) for number in range(num_shards)])


def _is_made(source: Path) -> bool:
    """By what reads manifests today."""
    try:
        read_manifest(source, source.name)
    except ShardError:
        return False
    return True


def _name(index: int) -> str:
    return f"spec_{index}" if index < 2 else f"general_{index}"


def _sparse_shard(source: Path, number: int, tokens: int) -> Shard:
    path = source / f"train_{number:05d}.bin"
    with path.open("wb") as file:
        file.truncate(2 * tokens)
    return Shard(file=path.name, tokens=tokens, documents=1, xxhash=xxhash.xxh3_128_hexdigest(f"{path}".encode()))


def plan(request: dict[str, Any]) -> dict[str, float]:
    """Seconds to read all manifests, to plan, and to summarise and write plan.json."""
    folder = Path(request["folder"])
    names = [_name(index) for index in range(request["sources"])]
    times = [time.perf_counter()]
    manifests = [read_manifest(folder / name, name) for name in names]
    times.append(time.perf_counter())
    spec = sum(name.startswith("spec") for name in names)
    shares = [_SPEC_SHARE / spec if index < spec else (1 - _SPEC_SHARE) / (len(names) - spec) for index in range(len(names))]
    num_sequences = request["tokens"] // SEQUENCE_LENGTH
    planned = plane.plan_of(manifests, shares, num_sequences=num_sequences, sequences_per_step=_SEQUENCES_PER_STEP, seed=request["seed"])
    times.append(time.perf_counter())
    summarise(planned)
    times.append(time.perf_counter())
    write_plan(planned, folder / "plan.json")
    read, made, summarised = (after - before for before, after in itertools.pairwise(times))
    return {"read_seconds": read, "plan_seconds": made, "summarise_seconds": summarised}


def first_batch(request: dict[str, Any]) -> dict[str, Any]:
    """A late rank in a process that has opened nothing yet: to its first batch, then to random steps."""
    folder = Path(request["folder"])
    began = time.perf_counter()
    planned = read_plan(folder / "plan.json")
    readers = plane.open_readers(folder, [source.name for source in planned.sources])
    _first(planned, readers, 0)
    seconds = time.perf_counter() - began
    peak_bytes = _peak_bytes()
    seeks = [_first(planned, readers, Random(seek).randrange(planned.steps)) for seek in range(_SEEKS)]
    return {"seconds": seconds, "peak_bytes": peak_bytes, "seek_seconds": seeks}


def _peak_bytes() -> int:
    """Of this process since its program began; what `getrusage` gives begins with the process that started it."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) << 10


def _first(planned: Any, readers: Any, step: int) -> float:
    began = time.perf_counter()
    next(plane.blocks(planned, readers, first_step=step, rank=_RANK, world_size=_WORLD_SIZE))
    return time.perf_counter() - began


if __name__ == "__main__":
    serve({"make": make, "plan": plan, "first_batch": first_batch})
