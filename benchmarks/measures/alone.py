"""What is measured of this project alone."""

from typing import Any

from benchmarks.measures.bench import Bench, attempt, failed, tell
from benchmarks.settings import BATCHES, MIXES, mix_name

_LONG = 100  # a run long enough that a window of time does not reach its end
_WORKERS = (1, 2)
_TIMEOUT = 600.0


def ray_feed(bench: Bench) -> dict[str, Any]:
    """Tokens a second through Ray for each "workers, mix, batch": a number a repetition, or the failure."""
    found: dict[str, Any] = {}
    for spec_share in MIXES:
        for batch in BATCHES:
            tell(f"through Ray: {mix_name(spec_share)}, batch {batch}")
            measured = attempt(lambda spec_share=spec_share, batch=batch: _ray_feed(bench, _long(bench, spec_share, batch)))
            for num_workers in _WORKERS:
                cell = f"{num_workers} worker{'s' * (num_workers > 1)}, {mix_name(spec_share)}, {batch}"
                found[cell] = measured if failed(measured) else measured[str(num_workers)]
    return found


def _long(bench: Bench, spec_share: float, batch: int) -> dict[str, float | int]:
    mix = bench.settings.mix(spec_share, batch)
    return mix | {"num_sequences": mix["num_sequences"] * _LONG}


def _ray_feed(bench: Bench, mix: dict[str, float | int]) -> Any:
    settings = bench.settings
    request = {"workers": _WORKERS, "repetitions": settings.repetitions, "seconds": settings.window_seconds}
    with bench.start("benchmarks.own.feed", variables={"RAY_ADDRESS": "local"}) as process:
        return process.ask("throughput", data=str(bench.data), mix=mix, timeout_seconds=_TIMEOUT, **request)


def memory(bench: Bench) -> Any:
    """Memory of consumer and worker after some numbers of batches, or the failure."""
    tell("memory over many batches")
    return attempt(lambda: _memory(bench))


def _memory(bench: Bench) -> Any:
    with bench.start("benchmarks.own.feed", variables={"RAY_ADDRESS": "local"}) as process:
        batches = bench.settings.memory_batches
        return process.ask("memory", data=str(bench.data), mix=_long(bench, 0.05, 1), batches=batches, timeout_seconds=_TIMEOUT)


def scale(bench: Bench) -> dict[str, Any]:
    """Planning, first batch and seeks on very large manifests; each part is a measurement of its own or its failure.

    Returns:
        {"made", "plan": one a repetition, "first_batch": one a repetition}
    """
    settings = bench.settings
    folder = bench.work / "scale" / f"{settings.scale_tokens}-{settings.scale_shards}-{settings.scale_sources}"
    large = {"folder": str(folder), "shards": settings.scale_shards, "sources": settings.scale_sources, "tokens": settings.scale_tokens}
    tell(f"scale: {settings.scale_shards:,} shards")
    found: dict[str, Any] = {"made": attempt(lambda: _fresh(bench, "make", large)), "plan": [], "first_batch": []}
    for part in ("plan", "first_batch"):
        for repetition in range(settings.repetitions):
            tell(f"scale, {part}, {repetition + 1} of {settings.repetitions}")
            measured = attempt(lambda part=part: _fresh(bench, part, large | {"seed": 17}))
            if failed(measured):
                found[part] = measured
                break
            found[part].append(measured)
    return found


def _fresh(bench: Bench, task: str, request: dict[str, Any]) -> Any:
    with bench.start("benchmarks.own.scale") as process:
        return process.ask(task, timeout_seconds=_TIMEOUT, **request)
