"""What an attempt is given and what becomes of it, as the process that supervises and the one that drives it tell each other."""

import json
from dataclasses import asdict, dataclass, field

from pydantic import TypeAdapter

from orchestrator import errors
from orchestrator.errors import InterruptedRunError, NodePreemptedError, OrchestratorError, RankFailedError
from orchestrator.runs.fence import Token
from orchestrator.scheduling import asked

BEAT = b"."  # from the process that drives, at work; before its outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptJob:
    """What an attempt is given. All else it reads from the run directory.

    Attributes:
        run: the run directory.
        token: of the attempt.
        from_step: of the checkpoint that it is expected to go on from; the ranks verify it, and take the one before it if it is damaged.
        excluded_nodes: Ray's ids of nodes that are not to be used.
        until_step: where to stop, if not at the end of the plan.
    """

    run: str
    token: Token
    from_step: int
    excluded_nodes: list[str] = field(default_factory=list)
    until_step: int | None = None


@dataclass(kw_only=True, slots=True)
class Outcome:
    """What became of an attempt.

    Attributes:
        kind: as an `Ending`'s, or `failed`.
        step: the last one made, as far as it was heard.
        world_size: how many ranks it had.
        seconds: how long rank 0 was in each phase.
        error, message: of `failed`: the class of the error, and what it says.
        failed_nodes, failed_hosts: Ray's ids and the names of the nodes whose ranks died or hung.
        signal: of `stop`.
        by_host: of `superseded`.
    """

    kind: str = "done"
    step: int = 0
    world_size: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    error: str = ""
    message: str = ""
    failed_nodes: list[str] = field(default_factory=list)
    failed_hosts: list[str] = field(default_factory=list)
    signal: int = 0
    by_host: str = ""


def dump(value: AttemptJob | Outcome) -> bytes:
    """As one line of JSON."""
    return json.dumps(asdict(value)).encode() + b"\n"


def load_outcome(line: bytes) -> Outcome:
    """What `dump` made of an outcome."""
    return TypeAdapter(Outcome).validate_json(line.lstrip(BEAT))


def load_job(line: bytes) -> AttemptJob:
    """What `dump` made of a job."""
    return TypeAdapter(AttemptJob).validate_json(line)


def error_of(outcome: Outcome) -> OrchestratorError | None:
    """The error that an outcome stands for; none when all steps are done or the attempt ended to go on at another size."""
    if outcome.kind == "stop":
        name = asked.name(outcome.signal)
        return InterruptedRunError(f"stopped by {name} after step {outcome.step}, which is saved. Go on with `midtrain resume`.")
    if outcome.kind == "drained":
        return NodePreemptedError(f"a node is taken away after step {outcome.step}, which is saved. Go on with `midtrain resume`.")
    if outcome.kind != "failed":
        return None
    kind = getattr(errors, outcome.error, RankFailedError)
    error: OrchestratorError = kind(outcome.message)
    return error
