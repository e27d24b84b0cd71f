"""Throughput, resuming, ratios and ranks: the peers' loaders."""

import random
import secrets
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measures.bench import Bench, attempt, failed, running, tell, wanted
from benchmarks.processes import Measured
from benchmarks.registry import Entry
from benchmarks.rows import largest_error, sources_of
from benchmarks.settings import BATCHES, MIXES, mix_name

_LONG = 32  # so many epochs of the general source, or the fastest would be at their beginning again and again
_RESUME_MIX = (0.05, 8)
_RATIO_BATCH = 64
_RANKS_MIX = (0.05, 48)
_WORLD_SIZES = (1, 2, 3)
_MORE_STEPS = 20
_TIMEOUT = 300.0
_RANKS_TIMEOUT = 120.0


def describe(bench: Bench, entries: list[Entry]) -> dict[str, Any]:
    """Each peer's version and configuration; its own format is written where it is missing."""
    described = {}
    with running(bench, entries) as processes:
        for entry in entries:
            tell(f"data for {entry.title}")
            process = processes[entry.key]
            converted = attempt(lambda process=process: process.ask("convert", data=str(bench.data), timeout_seconds=_TIMEOUT))
            facts = attempt(lambda process=process: process.ask("describe", timeout_seconds=_TIMEOUT))
            described[entry.key] = converted if failed(converted) else facts
    return described


def throughput(bench: Bench, entries: list[Entry]) -> dict[str, dict[str, Any]]:
    """Tokens a second of each peer for each mix and batch, the peers in turn, in another order each time.

    Returns:
        For each peer and each "mix, batch": a number a repetition, or the failure.
    """
    entries = wanted(entries, "throughput")
    found: dict[str, dict[str, Any]] = {entry.key: {} for entry in entries}
    turns = [(mix, batch, key) for mix in MIXES for batch in BATCHES for key in found]
    with running(bench, entries) as processes:
        for repetition in range(bench.settings.repetitions):
            tell(f"throughput, {repetition + 1} of {bench.settings.repetitions}")
            for mix, batch, key in random.Random(repetition).sample(turns, len(turns)):
                cell = f"{mix_name(mix)}, {batch}"
                if not failed(found[key].get(cell)):
                    _add(found[key], cell, attempt(lambda p=processes[key], m=mix, b=batch: _one_throughput(bench, p, m, b)))
    return found


def _one_throughput(bench: Bench, process: Measured, spec_share: float, batch: int) -> float:
    settings = bench.settings
    request = {"data": str(bench.data), "mix": settings.mix(spec_share, batch, runs=_LONG), "seconds": settings.window_seconds}
    return float(process.ask("throughput", timeout_seconds=_TIMEOUT, **request))


def _add(cells: dict[str, Any], cell: str, value: Any) -> None:
    if failed(value):
        cells[cell] = value
    else:
        cells.setdefault(cell, []).append(value)


def resume(bench: Bench, entries: list[Entry]) -> dict[str, Any]:
    """Seconds from a saved state to the first batch in a fresh process, and whether the batches are those of the unbroken run.

    Returns:
        For each peer {"seconds": one a repetition, "equal": of each}, or the failure.
    """
    entries = wanted(entries, "resume")
    common = {"data": str(bench.data), "mix": bench.settings.mix(*_RESUME_MIX), "more_steps": _MORE_STEPS}
    unbroken, found = {}, {}
    for entry in entries:
        tell(f"resume: {entry.title} runs to nine tenths")
        request = common | {"state": str(bench.work / "tmp" / f"{entry.key}.state")}
        unbroken[entry.key] = attempt(lambda entry=entry, request=request: _fresh(bench, entry, "save", request))
        found[entry.key] = unbroken[entry.key] if failed(unbroken[entry.key]) else {"seconds": [], "equal": []}
    for repetition in range(bench.settings.repetitions):
        tell(f"resume, {repetition + 1} of {bench.settings.repetitions}")
        for entry in [entry for entry in entries if not failed(found[entry.key])]:
            request = common | {"state": str(bench.work / "tmp" / f"{entry.key}.state")}
            resumed = attempt(lambda entry=entry, request=request: _fresh(bench, entry, "resume", request))
            if failed(resumed):
                found[entry.key] = resumed
            else:
                found[entry.key]["seconds"].append(resumed["seconds"])
                found[entry.key]["equal"].append(resumed["after"] == unbroken[entry.key]["after"])
    return found


def _fresh(bench: Bench, entry: Entry, task: str, request: dict[str, Any]) -> Any:
    with bench.start(entry.module, entry.environment) as process:
        return process.ask(task, timeout_seconds=_TIMEOUT, **request)


def ratio(bench: Bench, entries: list[Entry]) -> dict[str, dict[str, Any]]:
    """The largest distance from the ratio over prefixes of growing length.

    Returns:
        For each peer and mix {"errors": one a prefix, "sequences": how many there were}, or the failure.
    """
    found: dict[str, dict[str, Any]] = {}
    for entry in wanted(entries, "ratio"):
        tell(f"ratio: {entry.title}")
        found[entry.key] = {mix_name(mix): attempt(lambda e=entry, m=mix: _one_ratio(bench, e, m)) for mix in MIXES}
    return found


def _one_ratio(bench: Bench, entry: Entry, spec_share: float) -> dict[str, Any]:
    steps = -(-bench.settings.prefixes[-1] // _RATIO_BATCH)
    ids = _fresh(bench, entry, "ids", {"data": str(bench.data), "mix": bench.settings.mix(spec_share, _RATIO_BATCH), "steps": steps})
    flat = np.asarray([each for step in ids for each in step], dtype=np.int64)
    return {"errors": largest_error(sources_of(flat), spec_share, bench.settings.prefixes), "sequences": len(flat)}


def ranks(bench: Bench, entries: list[Entry]) -> dict[str, Any]:
    """In how many of the first steps all world sizes train the same set of sequences.

    Returns:
        For each peer {"steps": looked at, "same": {world size: how many are as at one rank}}, or the failure.
    """
    found = {}
    for entry in wanted(entries, "ranks"):
        tell(f"ranks: {entry.title}")
        found[entry.key] = attempt(lambda entry=entry: _one_ranks(bench, entry))
    return found


def _one_ranks(bench: Bench, entry: Entry) -> dict[str, Any]:
    alone, *others = (_steps_of(bench, entry, world_size) for world_size in _WORLD_SIZES)
    same = {str(size): sum(map(_is_same, alone, steps)) for size, steps in zip(_WORLD_SIZES[1:], others, strict=True)}
    return {"steps": bench.settings.rank_steps, "same": same}


def _is_same(one: list[int], other: list[int]) -> bool:
    return sorted(one) == sorted(other)


def _steps_of(bench: Bench, entry: Entry, world_size: int) -> list[list[int]]:
    """The sequences of each global step: the union over the ranks, each a process of its own, started as torchrun would."""
    port = str(20_000 + secrets.randbelow(20_000))
    processes = [bench.start(entry.module, entry.environment, _as_torchrun(rank, world_size, port)) for rank in range(world_size)]
    try:
        mix = bench.settings.mix(*_RANKS_MIX)
        for rank, process in enumerate(processes):
            process.tell("ids", data=str(bench.data), mix=mix | {"rank": rank, "world_size": world_size}, steps=bench.settings.rank_steps)
        ids = [process.hear("ids", timeout_seconds=_RANKS_TIMEOUT) for process in processes]
    finally:
        for process in processes:
            process.close()
    return [[each for rank in step for each in rank] for step in zip(*ids, strict=False)]


def _as_torchrun(rank: int, world_size: int, port: str) -> dict[str, str]:
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world_size, "LOCAL_WORLD_SIZE": world_size}
    return {name: str(value) for name, value in place.items()} | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}


def state_files(work: Path) -> list[Path]:
    """What `resume` leaves."""
    return sorted((work / "tmp").glob("*.state"))
