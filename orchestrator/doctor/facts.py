"""What the ranks of the doctor's gang are given, and what they bring back. Without torch, so that who drives them needs none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.config.schema import Config
from orchestrator.doctor.bandwidth import Reduction
from orchestrator.doctor.clocks import Offset
from orchestrator.doctor.findings import Finding
from orchestrator.doctor.gpus import Gpu
from orchestrator.doctor.sharing import SharedFacts

CHECKS = ("what each node has", "clocks", "shared storage", "all-reduce")  # by the step that a rank's beacon tells, from 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What the ranks are given.

    Attributes:
        config: of the run.
        is_known_machine: they are all on the machine that was looked at already.
        patience_seconds: how long a file may take to be seen on other nodes.
        logs: where ranks log, on each node's own disk; removed when all went well.
    """

    config: Config
    is_known_machine: bool
    patience_seconds: float
    logs: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeFacts:
    """What the first rank of a node found there.

    Attributes:
        rank: its number.
        num_ranks: on the node.
        findings: that need no other node.
        versions: of Python and of packages.
        gpus: that its ranks see.
    """

    rank: int
    num_ranks: int
    findings: Sequence[Finding]
    versions: Mapping[str, str | None]
    gpus: Sequence[Gpu]


@dataclass(frozen=True, kw_only=True, slots=True)
class GangFacts:
    """What all found together.

    Attributes:
        nodes: by name, in the order of ranks.
        offsets: of their clocks from rank 0's.
        shared: what each sees of the run directory; or why rank 0 could not write there.
        directory: in which was written.
        reductions: over all ranks.
        seconds: from when all ranks were there to the end.
    """

    nodes: Mapping[str, NodeFacts]
    offsets: Mapping[str, Offset]
    shared: Mapping[str, SharedFacts] | str
    directory: str
    reductions: Sequence[Reduction]
    seconds: float
