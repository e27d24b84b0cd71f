"""What a run directory holds, as values. The one place of the report that reads files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.config.load import read_config
from orchestrator.config.schema import Config
from orchestrator.errors import ConfigError
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.plan_file import read_plan
from orchestrator.runs.attempts import read_status
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines

Line = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One start of the run, and its stop when one was entered. Times are UTC, as the ledger has them."""

    number: int
    started: str
    world_size: int
    from_step: int
    stopped: str | None = None
    step: int | None = None
    reason: str | None = None
    reason_class: str | None = None
    exit_code: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecords:
    """A run that has trained at least one logged step.

    Attributes:
        config: as the job read it.
        config_text: its config.yaml.
        plan: what was to be trained when.
        metrics: the lines of metrics.jsonl.
        heldout: the lines of heldout.jsonl.
        probes: the lines of probes.jsonl.
        attempts: in order.
        is_running: whether a process holds the run now.
        saves: how many checkpoints were saved.
        stall_seconds: how long training stood still for each save, failed ones and the wait for the last one included.
    """

    config: Config
    config_text: str
    plan: Plan
    metrics: Sequence[Line]
    heldout: Sequence[Line]
    probes: Sequence[Line]
    attempts: Sequence[Attempt]
    is_running: bool
    saves: int
    stall_seconds: Sequence[float]


def model_name(config: Config) -> str:
    """What the report calls the model."""
    return config.model.description or config.model.path


def read_records(run: RunDirectory) -> RunRecords:
    """Read a run.

    Raises:
        ConfigError: it is not a run, or it has not trained a step yet.
    """
    config = read_config(run.config)
    is_running = read_status(run).state == "running"
    metrics = list(read_lines(run.metrics))
    if not any(line["step"] > 0 for line in metrics):
        raise ConfigError(_nothing_yet(run, is_running, config.training.log_every_steps))
    events = list(read_lines(run.events))
    return RunRecords(
        config=config,
        config_text=run.config.read_text(encoding="utf-8"),
        plan=read_plan(run.plan),
        metrics=metrics,
        heldout=list(read_lines(run.heldout)),
        probes=list(read_lines(run.probes)),
        attempts=pair_attempts(read_lines(run.attempts)),
        is_running=is_running,
        saves=sum(event["event"] == "saved" for event in events),
        stall_seconds=[event["stall_seconds"] for event in events if "stall_seconds" in event],
    )


def pair_attempts(lines: Iterable[Line]) -> list[Attempt]:
    """The ledger's starts, each with its placement and its stop if it has them."""
    attempts: dict[int, dict[str, Any]] = {}
    for line in lines:
        number = line["attempt"]
        if line["event"] == "start":
            attempts[number] = {"number": number, "started": line["time"]} | {key: line[key] for key in ("world_size", "from_step")}
        elif line["event"] == "placed":
            attempts[number]["world_size"] = line["world_size"]
        else:
            values = {key: line[key] for key in ("step", "reason", "exit_code")}
            attempts[number] |= {"stopped": line["time"], "reason_class": line["class"], **values}
    return [Attempt(**values) for values in attempts.values()]


def _nothing_yet(run: RunDirectory, is_running: bool, log_every_steps: int) -> str:
    what = f"{run.root} has nothing to report yet: metrics.jsonl has no trained step."
    if is_running:
        return f"{what} It is running; wait for step {log_every_steps} (training.log_every_steps): midtrain status {run.root}"
    return f"{what} Train it first: midtrain resume {run.root}"
