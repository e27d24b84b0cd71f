"""What a rank's failure means: which error of ours it is, and whose fault."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from orchestrator.errors import InfrastructureError, OrchestratorError, RankFailedError

_LOST = ("gloo", "nccl", "connection", "cuda error", "cublas_status", "cudnn_status", "nvlink", "acceleratorerror", "distbackenderror")


class RaisedByRayError(Exception):
    """An error of Ray's that a rank met, and lived: a data-mixing worker or an object is lost."""


class BlamedRanksError(InfrastructureError):
    """Ranks that are known to be the cause; where they were the driver knows.

    Attributes:
        ranks: their numbers.
    """

    def __init__(self, message: str, ranks: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.ranks = tuple(ranks)


class RankLostError(BlamedRanksError):
    """Their processes died."""


class RankFaultError(BlamedRanksError):
    """The one rank that met an error of its device, disk or connection: its process lived to tell."""


def failure_of(done: Any) -> BaseException | None:
    """What a rank raised, or, as Ray's own error, that its process died."""
    try:
        ray.get(done)
    except RayTaskError as error:
        cause: BaseException = getattr(error, "cause", None) or error
        return RaisedByRayError(str(cause)) if isinstance(cause, RayError) and cause is not error else cause
    except RayError as death:
        found: BaseException = death
        return found
    return None


def is_infrastructure(failure: BaseException) -> bool:
    """Whether a process, disk, connection or device failed. A rank whose neighbour died sees only that the connection is gone."""
    said = f"{type(failure).__name__} {failure}".lower()
    if "device-side assert" in said:  # what a kernel was given was wrong
        return False
    return is_of_a_process(failure) or isinstance(failure, OSError | RaisedByRayError) or any(word in said for word in _LOST)


def is_of_a_process(failure: BaseException) -> bool:
    """Whether a rank's process died."""
    return isinstance(failure, RayError) and not isinstance(failure, RayTaskError)


def first_cause(failures: Mapping[int, BaseException], logs: Path) -> OrchestratorError:
    """What ended the gang: an error of ours, else processes that died, else an exception that nobody foresaw.

    Args:
        failures: of ranks.
        logs: where a reader finds more.
    """
    if ours := [failure for failure in failures.values() if isinstance(failure, OrchestratorError)]:
        return ours[0]
    if died := {rank: failure for rank, failure in failures.items() if is_of_a_process(failure)}:
        return RankLostError(f"ranks whose processes died: {', '.join(map(str, died))} ({_first_line(*died.values())}).", list(died))
    rank, failure = min(failures.items(), key=lambda item: is_infrastructure(item[1]))
    message = f"rank {rank} failed: {type(failure).__name__}: {_first_line(failure)}. Its log is in {logs}; go on with `midtrain resume`."
    if not is_infrastructure(failure):
        return RankFailedError(message)
    return RankFaultError(message, [rank]) if len(failures) == 1 else InfrastructureError(message)


def _first_line(failure: BaseException, *_: BaseException) -> str:
    return (str(failure).strip().splitlines() or [""])[0].removesuffix(".")
