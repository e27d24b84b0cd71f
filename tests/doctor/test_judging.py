"""From what ranks found to findings, in tables."""

from dataclasses import replace

import pytest

from orchestrator.doctor.bandwidth import Reduction
from orchestrator.doctor.clocks import Offset
from orchestrator.doctor.facts import GangFacts, NodeFacts
from orchestrator.doctor.findings import Finding
from orchestrator.doctor.judging import judge_gang, judge_room, judge_start
from orchestrator.doctor.sharing import SharedFacts

WELL = SharedFacts(seen_seconds=0.1, replaced_seconds=0.1, heard_seconds=0.1)
OWN = Finding(check="/dev/shm", where="b", verdict="bad", value="64 MiB free")


def node(rank: int, torch: str = "2.13.0", findings: tuple[Finding, ...] = ()) -> NodeFacts:
    return NodeFacts(rank=rank, num_ranks=4, findings=findings, versions={"python": "3.11.7", "torch": torch}, gpus=())


FACTS = GangFacts(
    nodes={"a": node(0), "b": node(4)},
    offsets={"b": Offset(seconds=0.01, uncertainty_seconds=0.001)},
    shared={"a": WELL, "b": WELL},
    directory="/runs",
    reductions=[Reduction(size_bytes=64 << 20, seconds=0.05, is_right=True)],
    seconds=3.0,
)


def judged(facts: GangFacts, has_gpus: bool = False) -> dict[tuple[str, str], str]:
    """Of the checks that are not good: by name and place."""
    found = judge_gang(facts, has_gpus=has_gpus, patience_seconds=60)
    return {(finding.check, finding.where): finding.verdict for finding in found if finding.verdict != "good"}


def test_nodes_that_are_alike_and_see_each_other_are_good() -> None:
    assert judged(FACTS) == {}


def test_what_a_node_found_by_itself_is_among_the_findings() -> None:
    assert judged(replace(FACTS, nodes={"a": node(0), "b": node(4, findings=(OWN,))})) == {("/dev/shm", "b"): "bad"}


def test_a_node_with_another_version_is_named() -> None:
    facts = replace(FACTS, nodes={"a": node(0), "b": node(4, torch="2.12.1"), "c": node(8)})
    assert judged(facts) == {("same versions", "all"): "bad"}
    (found,) = [finding for finding in judge_gang(facts, has_gpus=False, patience_seconds=60) if finding.check == "same versions"]
    assert found.value == "b has torch 2.12.1, not 2.13.0"


def test_a_node_that_does_not_see_the_run_directory_is_named() -> None:
    assert judged(replace(FACTS, shared={"a": WELL, "b": SharedFacts()})) == {("shared storage", "b"): "bad"}


def test_a_run_directory_that_rank_0_cannot_write_is_told_of_its_node() -> None:
    assert judged(replace(FACTS, shared="Permission denied")) == {("shared storage", "a"): "bad"}


def test_a_clock_that_is_off_is_named() -> None:
    assert judged(replace(FACTS, offsets={"b": Offset(seconds=400.0, uncertainty_seconds=0.1)})) == {("clock", "b"): "bad"}


def test_ranks_that_should_have_gpus_and_see_none_are_bad() -> None:
    assert judged(replace(FACTS, reductions=[]), has_gpus=True) == {("GPUs", "a"): "bad", ("GPUs", "b"): "bad"}


@pytest.mark.parametrize(("room", "smallest", "verdict"), [(8, 8, "good"), (9, 8, "good"), (7, 8, "bad"), (7, 4, "warning"), (0, 4, "bad")])
def test_there_must_be_room_for_the_fewest_ranks_and_should_be_for_all(room: int, smallest: int, verdict: str) -> None:
    assert judge_room(room, num_nodes=2, world_size=8, smallest=smallest).verdict == verdict


@pytest.mark.parametrize(("seconds", "verdict"), [(10.0, "good"), (50.0, "warning"), (90.0, "bad")])
def test_ranks_must_come_up_within_the_deadline_of_an_attempt(seconds: float, verdict: str) -> None:
    assert judge_start(5.0, seconds, limit_seconds=80.0).verdict == verdict
