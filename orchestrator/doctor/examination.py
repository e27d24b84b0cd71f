"""What the ranks of the doctor's gang do, and what rank 0 brings back."""

import os
import shutil
import socket
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed

from orchestrator.checkpoints.ranks import Ranks
from orchestrator.doctor.bandwidth import SIZES_BYTES, measure
from orchestrator.doctor.exchanging import clock_offsets
from orchestrator.doctor.facts import GangFacts, NodeFacts, Task
from orchestrator.doctor.findings import Finding, finding
from orchestrator.doctor.gpus import gpus_seen
from orchestrator.doctor.here import check_node
from orchestrator.doctor.machine import look_at_machine
from orchestrator.doctor.sharing import share_files
from orchestrator.scheduling.process_group import TorchRanks
from orchestrator.scheduling.vitals import vitals

_GROUP_SECONDS = 600.0


def examine(task: Task) -> GangFacts:
    """All that ranks look at together. A collective."""
    began = time.monotonic()
    group = distributed.new_group(backend="gloo", timeout=timedelta(seconds=_GROUP_SECONDS))
    ranks = TorchRanks(group)
    name, leaders = _name_nodes(ranks)
    is_leader = ranks.rank in leaders.values()
    _announce(1)
    nodes = ranks.gather(_look_around(task, ranks.rank, name) if is_leader else None)
    _announce(2)
    offsets = clock_offsets(group, sorted(leaders.values()), time.time)
    _announce(3)
    directory, shared = share_files(Path(task.config.run.dir or ""), ranks, is_leader=is_leader, patience_seconds=task.patience_seconds)
    _announce(4)
    reductions = [measure(size, _device()) for size in SIZES_BYTES] if ranks.world_size > 1 else []
    ranks.barrier()
    if is_leader:
        shutil.rmtree(task.logs, ignore_errors=True)  # nothing went wrong, and nobody else removes it from this node
    return GangFacts(
        nodes={where: nodes[rank] for where, rank in leaders.items()},
        offsets={where: offsets[rank] for where, rank in leaders.items() if rank in offsets},
        shared=shared if isinstance(shared, str) else {where: seen for where, rank in leaders.items() if (seen := shared[rank])},
        directory=directory,
        reductions=reductions,
        seconds=time.monotonic() - began,
    )


def _name_nodes(ranks: Ranks) -> tuple[str, dict[str, int]]:
    """The name of this rank's node, and the first rank of each node by its name: the host's, with Ray's id where two have the same."""
    standings = ranks.gather((socket.gethostname(), vitals().beacon.node))
    hosts = Counter(host for host, _ in set(standings))
    names = [host if hosts[host] == 1 else f"{host} ({node[:6]})" for host, node in standings]
    return names[ranks.rank], {name: names.index(name) for name in names}


def _look_around(task: Task, rank: int, where: str) -> NodeFacts:
    """What this node has."""
    config = task.config
    findings = [] if task.is_known_machine else list(check_node(config, where))
    return NodeFacts(
        rank=rank,
        num_ranks=int(os.environ["LOCAL_WORLD_SIZE"]),
        findings=[*findings, check_architecture(config.model.path, where)],
        versions={**look_at_machine().versions, "cuda": torch.version.cuda},
        gpus=gpus_seen() if config.scheduling.gpus_per_rank else (),
    )


def check_architecture(model_path: str, where: str) -> Finding:
    """Whether transformers knows the model's architecture. It is slow to import, and ranks need it anyway."""
    from transformers import AutoConfig, AutoModelForCausalLM

    limit, remedy = "one that transformers knows", "Use a causal language model that this version of transformers has, or another version."
    try:
        config = AutoConfig.from_pretrained(model_path)
    except (OSError, ValueError, KeyError) as error:
        said = str(error).strip().splitlines()[0]
        return finding("model architecture", where, "bad", f"{model_path} cannot be opened: {said}", limit=limit, remedy=remedy)
    is_known = type(config) in AutoModelForCausalLM._model_mapping
    value = f"{config.model_type}{'' if is_known else ', which is no causal language model'}"
    return finding("model architecture", where, "good" if is_known else "bad", value, limit=limit, remedy=remedy)


def _announce(check: int) -> None:
    """Tell the driver which of the checks begins, so that it can name the one that hangs."""
    vitals().beacon.enter("step", step=check)


def _device() -> torch.device:
    return torch.device("cuda", torch.cuda.current_device()) if distributed.get_backend() == "nccl" else torch.device("cpu")
