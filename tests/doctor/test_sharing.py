"""Whether nodes see the same files, with nodes that do and nodes that do not."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.checkpoints.ranks import Ranks
from orchestrator.doctor.disk import PROBE_PREFIX
from orchestrator.doctor.sharing import SharedFacts, judge_sharing, share, share_files
from tests.checkpoints.ranks import on_ranks

WELL = SharedFacts(seen_seconds=0.1, replaced_seconds=0.2, heard_seconds=0.3)


def test_nodes_on_the_same_storage_see_each_others_files_and_leave_none(tmp_path: Path) -> None:
    seen: dict[int, Any] = {}

    def run(ranks: Ranks) -> None:
        seen[ranks.rank] = share_files(tmp_path / "runs" / "mine", ranks, is_leader=ranks.rank != 1, patience_seconds=10)

    on_ranks(3, run)
    directory, facts = seen[0]
    assert seen[1] == seen[2] == seen[0]
    assert (directory, facts[1]) == (str(tmp_path), None)
    verdicts = [finding.verdict for finding in judge_sharing({"a": facts[0], "b": facts[2]}, directory, patience_seconds=10)]
    assert verdicts == ["good", "good"]
    assert list(tmp_path.iterdir()) == []


def test_a_node_with_other_storage_is_named_and_waited_for_once(tmp_path: Path) -> None:
    folders = [tmp_path / "shared", tmp_path / "shared", tmp_path / "own"]
    folders[0].mkdir()
    folders[2].mkdir()
    seen: dict[int, SharedFacts | None] = {}

    def run(ranks: Ranks) -> None:
        facts = share(folders[ranks.rank], ranks, is_leader=True, patience_seconds=0.5)
        seen[ranks.rank] = facts

    on_ranks(3, run)
    assert seen[2] == SharedFacts(seen_seconds=None, replaced_seconds=None, heard_seconds=None, error="")
    named = {f"node-{rank}": facts for rank, facts in seen.items() if facts}
    bad = {finding.where: finding.value for finding in judge_sharing(named, "/runs", patience_seconds=0.5) if finding.verdict == "bad"}
    assert bad == {"node-2": "not within 0.5 s: rank 0's file read, its replacement, its own read by rank 0"}


def test_a_node_without_the_directory_says_that_it_cannot_write_there(tmp_path: Path) -> None:
    seen: dict[int, SharedFacts | None] = {}

    def run(ranks: Ranks) -> None:
        folder = tmp_path if ranks.rank == 0 else tmp_path / "not" / "mounted"
        seen[ranks.rank] = share(folder, ranks, is_leader=True, patience_seconds=0.2)

    on_ranks(2, run)
    facts = seen[1]
    assert facts and facts.error == "No such file or directory"
    (found,) = judge_sharing({"node-1": facts}, "/runs", patience_seconds=0.2)
    assert (found.verdict, found.value) == ("bad", "it cannot write there: No such file or directory")


def test_where_rank_0_cannot_write_every_rank_is_told_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    seen: dict[int, Any] = {}

    def run(ranks: Ranks) -> None:
        seen[ranks.rank] = share_files(tmp_path / "file", ranks, is_leader=True, patience_seconds=1)

    on_ranks(2, run)
    assert seen[0] == seen[1] == (str(tmp_path / "file"), "Not a directory")
    assert list(tmp_path.glob(f"{PROBE_PREFIX}*")) == []


@pytest.mark.parametrize(
    ("facts", "verdict", "said"),
    [
        (WELL, "good", "rank 0's file read after 0.10 s, its replacement after 0.20 s, its own read by rank 0 after 0.30 s"),
        (SharedFacts(seen_seconds=0.1, replaced_seconds=31.0, heard_seconds=0.3), "warning", "its replacement after 31.00 s"),
        (SharedFacts(seen_seconds=0.1, replaced_seconds=None, heard_seconds=0.3), "bad", "not within 60 s: its replacement"),
        (SharedFacts(seen_seconds=0.1, replaced_seconds=0.1, heard_seconds=None), "bad", "not within 60 s: its own read by rank 0"),
    ],
)
def test_what_a_node_sees_late_or_never_is_told(facts: SharedFacts, verdict: str, said: str) -> None:
    (found,) = judge_sharing({"node-1": facts}, "/runs", patience_seconds=60)
    assert found.verdict == verdict
    assert said in found.value
