"""A run directory without a run: every file in its true format, mostly by the project's own writers, with made-up figures."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import xxhash

from orchestrator.checkpoints.store import COMMIT, MANIFEST, step_directory
from orchestrator.config.load import dump_config, load_config
from orchestrator.evaluation.answers import Answers
from orchestrator.mixture.exposure import epochs, updates_within
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.plan_file import write_plan
from orchestrator.mixture.planning import make_plan
from orchestrator.mixture.wishes import Ratios, StageWish, Supply
from orchestrator.runs.attempts import Stop, start_attempt, stop_attempt
from orchestrator.runs.directory import RunDirectory, create_run
from orchestrator.runs.events import append_event
from orchestrator.tracking.metrics import MetricsFile
from orchestrator.tracking.recorder import LoggedInterval, Recorder
from tests.support.tiny import overrides

_LENGTH, _SEQUENCES = 32, 4  # those of the tiny experiment
_SEQUENCES_A_DOCUMENT = 2  # of held-out ones


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeUpSource:
    """A source whose loss goes from `start` to `end` in nats a token."""

    role: str
    share: Fraction
    start: float
    end: float
    num_heldout: int = 24


SOURCES: Mapping[str, MadeUpSource] = {
    "spec": MadeUpSource(role="spec", share=Fraction(1, 4), start=4.14, end=3.68),
    "python_source": MadeUpSource(role="general", share=Fraction(3, 10), start=1.62, end=1.57),
    "package_docs": MadeUpSource(role="general", share=Fraction(9, 20), start=2.91, end=2.68),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeUpRun:
    """What to write.

    Attributes:
        steps: of the plan.
        trained_steps: how far it came; none: to its end.
        log_every, evaluate_every, save_every: in steps.
        sources: by name.
        changes: to the tiny configuration.
        attempts: the stop of each attempt.
        probes: name -> how many items it has, of which ever more are answered rightly.
    """

    steps: int = 60
    trained_steps: int | None = None
    log_every: int = 1
    evaluate_every: int = 20
    save_every: int = 20
    sources: Mapping[str, MadeUpSource] = field(default_factory=lambda: SOURCES)
    changes: Mapping[str, object] = field(default_factory=dict)
    attempts: Sequence[Stop] = ()
    probes: Mapping[str, int] = field(default_factory=dict)

    @property
    def last_step(self) -> int:
        return self.steps if self.trained_steps is None else self.trained_steps


def plan_of(made_up: MadeUpRun) -> Plan:
    supplies = [
        Supply(name=name, role=source.role, fingerprint=name, unique_sequences=10_000_000, trained_tokens=10_000_000 * _LENGTH)
        for name, source in made_up.sources.items()
    ]
    total = made_up.steps * _SEQUENCES * _LENGTH
    ratios = Ratios(by_source={name: source.share for name, source in made_up.sources.items()})
    wish = StageWish(start=ratios, end=ratios)
    return make_plan(supplies, [wish], total_tokens=total, sequence_length=_LENGTH, sequences_per_step=_SEQUENCES, seed=0)


def write_run(folder: Path, made_up: MadeUpRun | None = None) -> RunDirectory:
    """Write a run directory below a folder."""
    made_up = made_up or MadeUpRun()
    plan = plan_of(made_up)
    config = load_config(overrides(folder, **{"training.log_every_steps": made_up.log_every, **made_up.changes}))
    assert config.run.dir is not None
    run = create_run(Path(config.run.dir), config=dump_config(config), write_plan=lambda path: write_plan(plan, path))
    _write_metrics(run, plan, made_up)
    for step in range(made_up.save_every, made_up.last_step + 1, made_up.save_every):
        write_checkpoint(run, step)
        append_event(run, 1, "saved", step=step, stall_seconds=1.25)
    append_event(run, 1, "waited_for_save", stall_seconds=0.5)
    _write_attempts(run, made_up)
    return run


def write_checkpoint(run: RunDirectory, step: int, **facts: object) -> None:
    """A committed checkpoint without state."""
    directory = step_directory(run.checkpoints, step)
    directory.mkdir(parents=True)
    known = {"kind": "science", "world_size": 2, "tokens": [step * _SEQUENCES * _LENGTH], "files": []}
    manifest = json.dumps({"step": step, **known, **facts}).encode()
    (directory / MANIFEST).write_bytes(manifest)
    commit = {"step": step, "manifest": xxhash.xxh3_128_hexdigest(manifest)}
    (directory / COMMIT).write_text(json.dumps(commit))


def _write_metrics(run: RunDirectory, plan: Plan, made_up: MadeUpRun) -> None:
    pick = np.random.default_rng(0)
    difficulty = {name: pick.normal(0, 0.35, source.num_heldout) for name, source in made_up.sources.items()}
    documents = {name: np.arange(source.num_heldout) // _SEQUENCES_A_DOCUMENT for name, source in made_up.sources.items()}
    files = [MetricsFile(path, 0) for path in (run.metrics, run.heldout)]
    probes_file = MetricsFile(run.probes, 0) if made_up.probes else None
    recorder = Recorder(list(made_up.sources), *files, documents=documents, probes=probes_file)

    def evaluate(step: int) -> dict[str, list[float]]:
        pieces = {
            name: _loss(source, step / plan.steps) + difficulty[name] + (step > 0) * pick.normal(0, 0.04, source.num_heldout)
            for name, source in made_up.sources.items()
        }
        return {name: losses.tolist() for name, losses in pieces.items()}

    def ask(step: int) -> dict[str, Answers]:
        return {name: _answers(name, num, step / plan.steps) for name, num in made_up.probes.items()}

    recorder.write(0, None, evaluate(0), ask(0))
    previous = 0
    for step in range(1, made_up.last_step + 1):
        evaluates = step % made_up.evaluate_every == 0 or step == plan.steps
        if evaluates or step % made_up.save_every == 0 or step % made_up.log_every == 0 or step == plan.steps:
            interval = _interval(plan, made_up, previous, step, pick)
            recorder.write(step, interval, *((evaluate(step), ask(step)) if evaluates else ({}, {})))
            previous = step
    recorder.close()


def _interval(plan: Plan, made_up: MadeUpRun, previous: int, step: int, pick: np.random.Generator) -> LoggedInterval:
    before, total = plan.sequences_before(np.array([previous, step])) * plan.sequence_length
    tokens = total - before
    means = [_loss(source, step / plan.steps) + pick.normal(0, 0.12) for source in made_up.sources.values()]
    return LoggedInterval(
        step=step,
        steps=step - previous,
        total_tokens=total.tolist(),
        epochs=[epochs(int(count), source) for count, source in zip(total, plan.sources, strict=True)],
        updates=updates_within(plan, 1, step),
        losses=[float(count * mean) for count, mean in zip(tokens, means, strict=True)],
        tokens=tokens.tolist(),
        learning_rate=1e-2 * min(1.0, step / 5) * (0.55 + 0.45 * math.cos(math.pi * step / plan.steps)),
        gradient_norm=1.1 + 2.5 / step + float(pick.gamma(2, 0.08)),
        data_checksum=0,
        step_seconds=2.0 + float(pick.normal(0, 0.05)),
        wait_seconds=0.012,
        memory_bytes=3_000_000_000,
        tflops_per_rank=0.4,
        peak_tflops_per_rank=1.0,
    )


def _answers(name: str, num: int, progress: float) -> Answers:
    """Item i is answered rightly when more than a share i / n of the run, and a third, is done. One of ten items was cut."""
    margins = progress + 1 / 3 - np.arange(num) / num
    return Answers(items=f"hash of {name}", margins=margins, num_cut=num // 10)


def _loss(source: MadeUpSource, progress: float) -> float:
    return source.end + (source.start - source.end) * math.exp(-4 * progress)


def _write_attempts(run: RunDirectory, made_up: MadeUpRun) -> None:
    """The ledger, its times moved apart so that the attempts take as long as their steps."""
    done = Stop(step=made_up.last_step, reason="all steps are done", reason_class="done", exit_code=0)
    from_step = 0
    for stop in made_up.attempts or [done]:
        number = start_attempt(run, world_size=2, from_step=from_step)
        stop_attempt(run, number, stop)
        from_step = stop.step // made_up.save_every * made_up.save_every
    lines = [json.loads(line) for line in run.attempts.read_text(encoding="utf-8").splitlines()]
    moment, from_step = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC), 0
    for line in lines:
        if line["event"] == "start":
            from_step, moment = line["from_step"], moment + timedelta(seconds=40)
        else:
            moment += timedelta(seconds=25 + 2.2 * (line["step"] - from_step))
        line["time"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    run.attempts.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
