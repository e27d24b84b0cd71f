"""The peers in turn, and what a step is made of."""

import dataclasses
import random
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.measures.bench import attempt, failed, tell
from benchmarks.training.orchestrated import Orchestrated
from benchmarks.training.ranks import Ranks, threads_of_machine
from benchmarks.training.sizes import Size
from orchestrator.scheduling.gang import rank_environment

LOOP, TRAINER, SAVING = "benchmarks.training.loop", "benchmarks.training.trainer", "benchmarks.training.saving"
PEERS = {
    "bare": "bare DeepSpeed loop, the model's own loss",
    "bare_head": "bare DeepSpeed loop, our loss head",
    "trainer": "Hugging Face Trainer with DeepSpeed",
    "midtrain": "midtrain train",
}
_SQUARES = {"bf16": (1024, 2048, 4096), "fp32": (512, 1024, 2048)}


def peers(size: Size, work: Path) -> dict[str, Any]:
    """Tokens a second of every peer, and the machine's matrix products, in turn, in another order each time.

    Returns:
        For each peer a number a turn, or the failure; and "limit", FLOP/s of the machine at each turn.
    """
    model = size.write(work / "training" / "models")
    found: dict[str, Any] = {"limit": []}
    with ExitStack() as stack:
        ask = _start_all(stack, size, model, work, found)
        for turn in range(size.turns):
            tell(f"{size.key}: turn {turn + 1} of {size.turns}")
            for key in random.Random(turn).sample(sorted(ask), len(ask)):
                if not failed(found.get(key)):
                    _add(found, key, attempt(ask[key]))
    return found


def _start_all(stack: ExitStack, size: Size, model: Path, work: Path, found: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """What to call for a peer's next number; those that do not start are noted as failures."""

    def start(key: str, make: Callable[[], Any]) -> Any:
        tell(f"{size.key}: {PEERS[key]} starts")
        started = attempt(make)
        if failed(started):
            found[key] = started
        return started

    def ranks(module: str) -> Ranks:
        threads = threads_of_machine() // size.ranks
        group = stack.enter_context(Ranks(module, size.ranks, threads=threads, work=work, variables=rank_environment(gpus_per_rank=0)))
        group.ask("build", **_request(size, model, work))
        return group

    machine = stack.enter_context(Ranks(LOOP, 1, threads=threads_of_machine(), work=work))
    loop = start("bare", lambda: ranks(LOOP))
    if failed(loop):
        found["bare_head"] = loop
    trainer = start("trainer", lambda: ranks(TRAINER))
    orchestrated = start("midtrain", lambda: stack.enter_context(Orchestrated(size, work / "training" / size.key, model, work)))
    return {
        "limit": lambda: _limit(machine, size),
        "bare": lambda: _rate(size, loop.ask("steps", steps=size.steps, head=False)),
        "bare_head": lambda: _rate(size, loop.ask("steps", steps=size.steps, head=True)),
        "trainer": lambda: _rate(size, trainer.ask("steps", steps=size.steps)),
        "midtrain": lambda: _rate(size, orchestrated.steps(size.steps)),
    }


def composition(size: Size, work: Path, variants: dict[str, dict[str, Any]], *, turns: int, steps: int) -> dict[str, Any]:
    """The step of one process with all threads: its share of the machine's matrix products, and what it is made of.

    Args:
        size: the model.
        work: `.bench/`.
        variants: by name, what is asked of the loop.
        turns, steps: how often and how long.

    Returns:
        For each variant {"rate": tokens a second a turn, "limit": FLOP/s of the machine beside each, "kinds": seconds a step by kind, ...}.
    """
    model = size.write(work / "training" / "models")
    return {
        name: attempt(lambda variant=variant: _one_composition(size, model, work, variant, turns, steps))
        for name, variant in variants.items()
    }


def _one_composition(size: Size, model: Path, work: Path, variant: dict[str, Any], turns: int, steps: int) -> dict[str, Any]:
    tell(f"{size.key}: {variant}")
    request = _request(size, model, work) | variant
    request["overrides"] |= {"training.micro_batch": request["micro_batch"], "training.sequences_per_step": request["micro_batch"]}
    found: dict[str, Any] = {"rate": [], "limit": []}
    variables = None if variant.get("usual_memory") else rank_environment(gpus_per_rank=0)
    with Ranks(LOOP, 1, threads=threads_of_machine(), work=work, variables=variables) as loop:
        loop.ask("build", **request)
        began = time.perf_counter()
        loop.ask("steps", steps=0, head=variant["head"])
        found["first_seconds"] = time.perf_counter() - began
        for _ in range(turns):
            found["limit"].append(_limit(loop, size))
            seconds = loop.ask("steps", steps=steps, head=variant["head"])
            found["rate"].append(request["micro_batch"] * size.step_tokens / size.ranks / size.micro_batch * steps / sum(seconds))
        found["kinds"] = loop.ask("profile", steps=2, head=variant["head"], vocabulary=request["vocabulary"])
        found["peak_bytes"] = loop.ask("peak_bytes")
    return found


def saves(size: Size, work: Path, *, turns: int, steps: int) -> dict[str, list[float]]:
    """What a save costs training, beside it and waited for, in turn.

    Returns:
        Seconds: `beside` and `waited`, that training stands still for a save; `committed`, from its begin to its end beside training;
        `steps`, undisturbed, and `steps_beside`, while one is written.
    """
    size = dataclasses.replace(size, micro_batch=1)  # a save does not depend on it, and steps are only what it runs beside
    model = size.write(work / "training" / "models")
    found: dict[str, list[float]] = {key: [] for key in ("beside", "waited", "committed", "steps", "steps_beside")}
    variables = rank_environment(gpus_per_rank=0)
    with Ranks(SAVING, size.ranks, threads=threads_of_machine() // size.ranks, work=work, variables=variables) as ranks:
        ranks.ask("build", **_request(size, model, work), checkpoints=str(work / "tmp" / "saves"))
        for turn in range(turns):
            tell(f"{size.key}: saves, turn {turn + 1} of {turns}")
            found["steps"] += ranks.ask("steps", steps=steps)
            found["waited"].append(ranks.ask("save", beside=False))
            began = time.perf_counter()
            found["beside"].append(ranks.ask("save", beside=True))
            found["steps_beside"] += ranks.ask("steps", steps=1)
            ranks.ask("settle")
            found["committed"].append(time.perf_counter() - began)
    shutil.rmtree(work / "tmp" / "saves")
    return found


def _limit(ranks: Ranks, size: Size) -> float:
    return float(ranks.ask("matmul", precision=size.precision, squares=_SQUARES[size.precision]))


def _rate(size: Size, seconds: list[float]) -> float:
    return size.step_tokens * len(seconds) / sum(seconds)


def _request(size: Size, model: Path, work: Path) -> dict[str, Any]:
    return {
        "model": str(model),
        "precision": size.precision,
        "micro_batch": size.micro_batch,
        "vocabulary": size.architecture["vocab_size"],
        "overrides": {key: str(value) for key, value in size.overrides(model).items()},
        "output": str(work / "tmp" / "trainer"),
    }


def _add(found: dict[str, Any], key: str, value: Any) -> None:
    if failed(value):
        found[key] = value
    else:
        found.setdefault(key, []).append(value)
