"""The machine that the command is given on. Nothing heavy is imported, no process started."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

from orchestrator.config.schema import Config
from orchestrator.doctor.disk import check_disk
from orchestrator.doctor.findings import Finding
from orchestrator.doctor.inputs import check_model, check_probes, check_sources
from orchestrator.doctor.machine import check_ports, judge_machine, look_at_machine
from orchestrator.doctor.tracking import check_tracking


def check_here(config: Config) -> list[Finding]:
    """All that a machine which starts runs, and holds ranks, must have."""
    where = socket.gethostname()
    return [*check_node(config, where), check_ports(where), check_tracking(config.tracking, where, os.environ)]


def check_inputs(config: Config, *, jobs_have_keys: bool = False) -> list[Finding]:
    """What a login node can tell before a run is submitted: storage, model, sources, probes, W&B. How large it is itself does not matter.

    Args:
        config: of the run.
        jobs_have_keys: whether jobs get their own key of W&B, as from a Kubernetes Secret. Then none here is no trouble.
    """
    where = socket.gethostname()
    tracking = check_tracking(config.tracking, where, os.environ)
    assert config.run.dir is not None
    return [
        *check_disk(Path(config.run.dir), where),
        *check_model(config.model, config.shards.document_separator, where),
        *check_sources(Path(config.shards.dir), config.sources, where),
        *check_probes(config, where),
        *([] if jobs_have_keys and tracking.verdict == "bad" else [tracking]),
    ]


def check_node(config: Config, where: str) -> Iterator[Finding]:
    """What every machine that holds ranks must have.

    Args:
        config: of the run.
        where: the name of this machine.
    """
    assert config.run.dir is not None
    yield from check_disk(Path(config.run.dir), where)
    yield from judge_machine(look_at_machine(), where, gpus_per_rank=config.scheduling.gpus_per_rank)
    yield from check_model(config.model, config.shards.document_separator, where)
    yield from check_sources(Path(config.shards.dir), config.sources, where)
    yield from check_probes(config, where)
