"""The gang on a real cluster: who stands where, what all return, and what is said of those that fail."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import InfrastructureError, NumericsError, RankFailedError
from orchestrator.runs.fence import Token
from orchestrator.scheduling.board import Board
from orchestrator.scheduling.cluster import ray_cluster
from orchestrator.scheduling.faults import RankFaultError, RankLostError
from orchestrator.scheduling.gang import Gang, GangPlace, memberships, rank_environment, start_gang
from orchestrator.scheduling.rank_process import Standing
from orchestrator.scheduling.vitals import Observation

standings = st.lists(st.integers(0, 4), min_size=1, max_size=40).map(
    lambda nodes: [
        Standing(node=f"node-{node}", address=f"10.0.0.{node}", port=1000 + index, gpus=(str(nodes[:index].count(node)),))
        for index, node in enumerate(nodes)
    ]
)


@given(standings)
def test_ranks_of_a_node_follow_each_other_and_share_its_gpus(there: list[Standing]) -> None:
    members = memberships(there)
    ranked = sorted(zip(members, there, strict=True), key=lambda pair: pair[0].rank)
    assert [member.rank for member, _ in ranked] == list(range(len(there)))
    nodes = [standing.node for _, standing in ranked]
    assert len(Counter(nodes)) == sum(before != after for before, after in zip([None, *nodes], nodes, strict=False))
    for node, count in Counter(nodes).items():
        here = [(member, standing) for member, standing in ranked if standing.node == node]
        assert [(member.local_rank, member.local_world_size) for member, _ in here] == [(local, count) for local in range(count)]
        assert all(member.visible_gpus[member.local_rank] == standing.gpus[0] for member, standing in here)
        assert len({member.visible_gpus for member, _ in here}) == 1
    assert {member.meeting for member in members} == {(ranked[0][1].address, ranked[0][1].port)}


@pytest.fixture(scope="module")
def board() -> Iterator[Board]:
    with ray_cluster(2, environment=rank_environment(gpus_per_rank=0)) as missing:
        assert missing == {}
        yield Board()


Start = Callable[[Callable[[Any], Any], Any], Gang]


@pytest.fixture
def start(board: Board, tmp_path: Path) -> Start:
    def started(rank_function: Callable[[Any], Any], job: Any) -> Gang:
        observation = Observation(run=tmp_path, token=Token(attempt=1, host="here", nonce="a"), board=board.actor, signals=["USR1"])
        return start_gang(rank_function, job, GangPlace(world_size=2, gpus_per_rank=0), observation)

    return started


def ended(gang: Gang, seconds: float = 60) -> Any:
    with closing(gang):
        assert gang.wait(seconds)
        return gang.result()


def test_the_ranks_work_in_their_main_threads_and_rank_0_answers(start: Start) -> None:
    def sum_of_ranks(job: list[int]) -> Any:
        import torch
        from torch import distributed

        total = torch.tensor(job[distributed.get_rank()])
        distributed.all_reduce(total)
        here = {name: os.environ[name] for name in ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GLIBC_TUNABLES", "DS_ACCELERATOR")}
        return int(total), here, threading.current_thread() is threading.main_thread()

    total, here, in_main = ended(start(sum_of_ranks, [20, 22]))
    assert total == 42
    given = rank_environment(gpus_per_rank=0)
    assert here == {"RANK": "0", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"} | {name: given[name] for name in here.keys() & given}
    assert in_main


def test_an_error_of_ours_comes_back_as_it_was_raised(start: Start) -> None:
    def fail(_: Any) -> None:
        raise NumericsError("the loss of step 7 is not finite. Lower the rate.")

    with pytest.raises(NumericsError, match=r"^the loss of step 7 is not finite\. Lower the rate\.$"):
        ended(start(fail, None))


def test_another_error_names_the_rank_and_its_log(start: Start, tmp_path: Path) -> None:
    def fail(_: Any) -> None:
        from torch import distributed

        if distributed.get_rank() == 1:
            raise ValueError("no such thing\nat all")
        distributed.barrier()

    with pytest.raises(RankFailedError, match=rf"rank 1 failed: ValueError: no such thing\. Its log is in {tmp_path}/logs/1; go on"):
        ended(start(fail, None))


def test_a_rank_that_dies_is_noticed_within_2_seconds_and_blamed_before_its_neighbours(start: Start, tmp_path: Path) -> None:
    def meet(_: Any) -> None:
        import torch
        from torch import distributed

        (tmp_path / f"{distributed.get_rank()}").write_text(str(os.getpid()))
        while True:
            distributed.all_reduce(torch.zeros(1))

    with closing(start(meet, None)) as gang:
        deadline = time.monotonic() + 60
        while not (tmp_path / "1").exists() or not (tmp_path / "1").read_text():
            assert not gang.wait(0.1)
            assert time.monotonic() < deadline
        os.kill(int((tmp_path / "1").read_text()), signal.SIGKILL)
        began = time.monotonic()
        assert gang.wait(10)
        assert time.monotonic() - began < 2
        with pytest.raises(RankLostError) as caught:
            gang.result()
        assert caught.value.ranks == (1,)
        left = psutil.Process(int((tmp_path / "0").read_text()))
    assert psutil.wait_procs([left], timeout=10)[1] == []


def test_a_gang_that_is_closed_ends_its_ranks_whatever_they_wait_for(start: Start, tmp_path: Path) -> None:
    def sleep(_: Any) -> None:
        (tmp_path / "pid").write_text(str(os.getpid()))
        time.sleep(3600)

    with closing(start(sleep, None)) as gang:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            assert not gang.wait(0.1)
        sleeping = psutil.Process(int((tmp_path / "pid").read_text()))
    assert psutil.wait_procs([sleeping], timeout=10)[1] == []


def test_a_device_that_fails_one_rank_is_blamed_on_its_node(start: Start) -> None:
    def fail(_: Any) -> None:
        from torch import distributed

        if distributed.get_rank() == 1:
            raise RuntimeError("CUDA error: uncorrectable ECC error encountered")
        time.sleep(60)

    with pytest.raises(RankFaultError, match="rank 1 failed: RuntimeError: CUDA error: uncorrectable ECC") as caught:
        ended(start(fail, None))
    assert caught.value.ranks == (1,)
    assert caught.value.exit_code == 6


def test_a_process_that_cannot_start_is_of_the_infrastructure(start: Start, board: Board, tmp_path: Path) -> None:
    class Unreadable:
        def __reduce__(self) -> Any:
            return (int, ("not a number",))

    with pytest.raises((InfrastructureError, RankFailedError), match="not a number"):
        ended(start(print, Unreadable()))
