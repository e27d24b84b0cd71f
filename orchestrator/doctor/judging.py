"""From what the ranks found to findings. Pure."""

from collections.abc import Iterator

from orchestrator.doctor.bandwidth import judge_reductions
from orchestrator.doctor.clocks import judge_offset
from orchestrator.doctor.facts import GangFacts
from orchestrator.doctor.findings import Finding, at_most, finding, nodes_said
from orchestrator.doctor.gpus import judge_gpus
from orchestrator.doctor.sharing import judge_sharing


def judge_gang(facts: GangFacts, *, has_gpus: bool, patience_seconds: float) -> Iterator[Finding]:
    """All that the ranks found.

    Args:
        facts: what they found.
        has_gpus: whether they have one each.
        patience_seconds: how long a file could take to be seen.
    """
    for node in facts.nodes.values():
        yield from node.findings
    if has_gpus:
        gpus = {where: node.gpus for where, node in facts.nodes.items()}
        yield from judge_gpus(gpus, {where: node.num_ranks for where, node in facts.nodes.items()})
    yield judge_same_versions(facts)
    for where, offset in facts.offsets.items():
        yield judge_offset("clock", where, offset)
    if isinstance(facts.shared, str):
        value = f"rank 0 cannot write in {facts.directory}: {facts.shared}"
        remedy = "Let it write there, or set run.dir to a directory on storage that all nodes mount for writing."
        yield finding("shared storage", next(iter(facts.nodes)), "bad", value, limit="", remedy=remedy)
    else:
        yield from judge_sharing(facts.shared, facts.directory, patience_seconds=patience_seconds)
    if facts.reductions:
        world_size = sum(node.num_ranks for node in facts.nodes.values())
        yield from judge_reductions(facts.reductions, world_size=world_size, num_nodes=len(facts.nodes), has_gpus=has_gpus)


def judge_same_versions(facts: GangFacts) -> Finding:
    """Whether every node has the software of rank 0's."""
    first, *others = facts.nodes.items()
    expected = first[1].versions
    differences = [
        f"{where} has {package} {node.versions.get(package)}, not {expected[package]}"
        for where, node in others
        for package in expected
        if node.versions.get(package) != expected[package]
    ]
    return finding(
        "same versions",
        "all",
        "bad" if differences else "good",
        "; ".join(differences) or f"the same on {nodes_said(len(facts.nodes))}",
        limit=f"as on {first[0]}",
        remedy="Use one image, or one environment on shared storage, for all nodes.",
    )


def judge_room(room: int, *, num_nodes: int, world_size: int, smallest: int) -> Finding:
    """Whether the cluster has room for the ranks.

    Args:
        room: for so many.
        num_nodes: of the cluster.
        world_size: how many there should be.
        smallest: how few may be.
    """
    return finding(
        "room",
        "all",
        "good" if room >= world_size else "warning" if room >= smallest else "bad",
        f"for {room} of {world_size} ranks on {nodes_said(num_nodes)}",
        limit=f"{world_size} ranks" + (f", at the least {smallest}" if smallest < world_size else ""),
        remedy="See which nodes are missing (ray status) or taken, wait for them, or lower scheduling.world_size.",
    )


def judge_start(connect_seconds: float, start_seconds: float, *, limit_seconds: float) -> Finding:
    """Whether ranks come up well within the deadline that an attempt has for it.

    Args:
        connect_seconds: until there was a Ray cluster.
        start_seconds: from then until all ranks were in one process group.
        limit_seconds: scheduling.deadlines.start.
    """
    return finding(
        "Ray",
        "all",
        at_most(connect_seconds + start_seconds, enough=limit_seconds / 2, too_much=limit_seconds),
        f"a cluster after {connect_seconds:.1f} s, all ranks in a process group {start_seconds:.1f} s later",
        limit=f"{limit_seconds / 2:.0f} s, at the most scheduling.deadlines.start={limit_seconds:g}",
        remedy="Raise scheduling.deadlines.start, or put the Python environment on faster storage: most of it is imports.",
    )
