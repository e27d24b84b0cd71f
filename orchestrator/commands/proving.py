"""`midtrain prove-resume`: a run killed hard and resumed trains what an unbroken one does, on the user's own machines."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from orchestrator.checkpoints.store import is_committed, step_directory
from orchestrator.commands.console import Console
from orchestrator.commands.planning import plan_run
from orchestrator.config.load import dump_config
from orchestrator.config.schema import Config
from orchestrator.errors import CheckpointError, ConfigError, InfrastructureError
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.plan_file import write_plan
from orchestrator.runs.directory import RunDirectory, create_run
from orchestrator.runs.lines import read_lines

_LOOK_SECONDS = 0.02
_BOUNDS = {"fp32": 1e-5, "bf16": 2e-3}  # of a loss at another world size, where the sums of gradients are made in another order


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """What to prove.

    Attributes:
        steps: made before the kill, and saved.
        more: steps made after it.
        world_size: of the ranks that resume.
    """

    steps: int
    more: int
    world_size: int

    @property
    def last(self) -> int:
        return self.steps + self.more


def prove_resume(config: Config, proof: Proof, console: Console) -> dict[str, Any]:
    """Train straight; train, kill and resume; compare. Nothing is left behind when they are the same.

    Returns:
        `{saved_step, world_size, resumed_world_size, zero_stage, precision, bound, same, kept, steps: [{step, sequences, same_data,
        straight, resumed, difference}]}`.

    Raises:
        ConfigError: the plan is too short, or its batch cannot be shared by that many ranks.
        OrchestratorError: one of the runs failed by itself.
    """
    plan = plan_run(config)
    if plan.steps <= proof.last:
        raise ConfigError(
            f"--steps {proof.steps} --more {proof.more} need a plan of more than {proof.last} steps, and this one has {plan.steps}. "
            f"Lower them, or raise mixture.total_tokens."
        )
    resumed_config = replace(config, scheduling=replace(config.scheduling, world_size=proof.world_size, min_world_size=None))
    assert config.run.dir is not None
    home = Path(config.run.dir).parent
    home.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".prove-resume-{config.run.name}-", dir=home))
    try:
        straight, broken = (_make(folder / name, config, plan, proof) for name in ("straight", "broken"))
        console.note(f"1 of 3: {proof.last} steps straight, world size {config.scheduling.world_size}")
        _run_to(straight, proof.last)
        console.note(f"2 of 3: the same from the start again, killed hard after its save of step {proof.steps}")
        _run_and_kill(broken, proof.steps)
        broken.config.write_text(dump_config(_prepared(resumed_config, broken.root, plan, proof)), encoding="utf-8")
        console.note(f"3 of 3: resumed to step {proof.last}, world size {proof.world_size}")
        _run_to(broken, proof.last)
        result = _compare(straight, broken, config, plan, proof)
    except BaseException:
        console.note(f"the runs of the proof are kept, with their logs, in {folder}")
        raise
    if result["same"]:
        shutil.rmtree(folder)
    return result | {"kept": None if result["same"] else str(folder)}


def show_proof(result: dict[str, Any], console: Console) -> None:
    """A row a step."""
    rows = [
        [
            f"{row['step']:,}",
            f"{row['sequences'][0]:,} to {row['sequences'][1]:,}",
            "same" if row["same_data"] else "other",
            f"{row['straight']:.9f}",
            f"{row['resumed']:.9f}",
            f"{row['difference']:.1e}" if row["difference"] else "0",
        ]
        for row in result["steps"]
    ]
    before, after = result["world_size"], result["resumed_world_size"]
    title = f"resumed after step {result['saved_step']}: world size {before} to {after}, ZeRO {result['zero_stage']}, {result['precision']}"
    console.table(title, ["step", "sequences", "data", "loss straight", "loss resumed", "difference"], rows)
    asked = "to the bit" if result["bound"] == 0 else f"within {result['bound']:g}"
    console.say(
        f"the data are {'the same' if all(row['same_data'] for row in result['steps']) else 'NOT the same'}; losses are asked for {asked}."
    )


def refuse_difference(result: dict[str, Any]) -> None:
    """
    Raises:
        CheckpointError: the runs differ.
    """
    if not result["same"]:
        raise CheckpointError(f"the resumed run is not the straight one. Both are kept in {result['kept']}.")


def _prepared(config: Config, root: Path, plan: Plan, proof: Proof) -> Config:
    """What a run of the proof is configured with: a save at the step of the kill, every step logged, nothing else besides."""
    return replace(
        config,
        run=replace(config.run, name=root.name, dir=str(root)),
        checkpoints=replace(config.checkpoints, every_steps=proof.steps, insurance_minutes=0.0, second_home=None),
        evaluation=replace(config.evaluation, every_steps=plan.steps, max_sequences=1),
        training=replace(config.training, log_every_steps=1),
        tracking=replace(config.tracking, wandb="off"),
    )


def _make(root: Path, config: Config, plan: Plan, proof: Proof) -> RunDirectory:
    return create_run(root, config=dump_config(_prepared(config, root, plan, proof)), write_plan=lambda path: write_plan(plan, path))


@contextmanager
def _resuming(run: RunDirectory, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A command of its own; it and all that it has started are gone afterwards."""
    call = "from orchestrator.cli import main; main()"
    command = [sys.executable, "-P", "-c", call, "resume", str(run.root), *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            _kill(process)


def _run_to(run: RunDirectory, step: int) -> None:
    with _resuming(run, "--until-step", str(step)) as process:
        _, said = process.communicate()
    if process.returncode:
        raise _failed(said)


def _run_and_kill(run: RunDirectory, step: int) -> None:
    """Kill all processes at once, as soon as the save is there and a step more was made."""
    with _resuming(run) as process:
        while not (is_committed(step_directory(run.checkpoints, step)) and any(line["step"] > step for line in read_lines(run.metrics))):
            if process.poll() is not None:
                _, said = process.communicate()
                raise _failed(said)
            time.sleep(_LOOK_SECONDS)


def _kill(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        for child in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
            with suppress(psutil.NoSuchProcess):
                child.kill()
    process.wait()


def _failed(said: str) -> InfrastructureError:
    lines = [line for line in said.splitlines() if line.startswith("error: ")] or said.splitlines() or ["it said nothing"]
    return InfrastructureError(f"a run of the proof failed by itself: {lines[-1].removeprefix('error: ')}")


def _compare(straight: RunDirectory, resumed: RunDirectory, config: Config, plan: Plan, proof: Proof) -> dict[str, Any]:
    left, right = ({line["step"]: line for line in read_lines(run.metrics)} for run in (straight, resumed))
    bound = 0.0 if proof.world_size == config.scheduling.world_size else _BOUNDS[config.training.precision]
    rows = [_row(left[step], right[step], plan) for step in range(1, proof.last + 1)]
    return {
        "world_size": config.scheduling.world_size,
        "resumed_world_size": proof.world_size,
        "zero_stage": config.training.zero_stage,
        "precision": config.training.precision,
        "saved_step": proof.steps,
        "bound": bound,
        "same": all(row["same_data"] and row["difference"] <= bound for row in rows),
        "steps": rows,
    }


def _row(left: dict[str, Any], right: dict[str, Any], plan: Plan) -> dict[str, Any]:
    first = (left["step"] - 1) * plan.sequences_per_step
    return {
        "step": left["step"],
        "sequences": [first, first + plan.sequences_per_step - 1],
        "same_data": left["data_checksum"] == right["data_checksum"],
        "straight": left["loss"],
        "resumed": right["loss"],
        "difference": abs(left["loss"] - right["loss"]),
    }
