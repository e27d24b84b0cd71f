"""Every error a user can meet, its exit code, and its class in `attempts.jsonl`. A message says what, value, limit, remedy."""

from typing import ClassVar


class OrchestratorError(Exception):
    """An error that its reader can fix.

    Attributes:
        exit_code: what the command exits with.
        reason_class: the class written to `attempts.jsonl` (DESIGN, law 5).
    """

    exit_code: ClassVar[int] = 1
    reason_class: ClassVar[str] = "bug"


class ConfigError(OrchestratorError):
    """The configuration or the command asks for something that cannot be."""

    exit_code = 2
    reason_class = "user"


class MixtureError(ConfigError):
    """No plan exists for the ratios, budget and corpora that were asked for."""


class RunExistsError(ConfigError):
    """The run directory is already taken by another run."""


class DataError(OrchestratorError):
    """A corpus is missing, empty or unreadable."""

    exit_code = 3
    reason_class = "data"


class ShardError(DataError):
    """Token shards are not what their manifest says."""


class CheckpointError(OrchestratorError):
    """No checkpoint can be trusted, or one cannot be read."""

    exit_code = 4
    reason_class = "infrastructure"


class NumericsError(OrchestratorError):
    """The loss or the gradient is not a finite number, or leaps."""

    exit_code = 5
    reason_class = "numerics"


class InfrastructureError(OrchestratorError):
    """A process, node, disk or network failed under the run."""

    exit_code = 6
    reason_class = "infrastructure"


class NodesMissingError(InfrastructureError):
    """The cluster lacks nodes that the run needs. A platform can give others: please requeue (EX_TEMPFAIL)."""

    exit_code = 75


class TrialsFailedError(OrchestratorError):
    """Trials of a sweep have failed for good, each for a reason of its own; the others are done."""

    exit_code = 3


class RankFailedError(OrchestratorError):
    """A rank raised what no one foresaw: a bug of ours or of a library."""


class InterruptedRunError(OrchestratorError):
    """The run was asked to stop and can go on later (EX_TEMPFAIL: please requeue)."""

    exit_code = 75
    reason_class = "preempted"


class NodePreemptedError(InterruptedRunError):
    """The cluster takes a node away; the run can go on at once on the others, or when another comes."""


class SupersededError(ConfigError):
    """A newer attempt has taken the run over, so this one stops and writes nothing more. Not to be requeued: it would take the run back."""
