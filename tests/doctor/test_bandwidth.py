"""All-reduces: the formulas, the limits, and real ones."""

import pytest

from orchestrator.doctor.bandwidth import Reduction, algorithm_bandwidth, bus_bandwidth, judge_reductions
from tests.doctor.talking import reductions
from tests.support.rank_processes import on_ranks

MIB = 1 << 20


@pytest.mark.parametrize(("world_size", "factor"), [(1, 0.0), (2, 1.0), (4, 1.5), (8, 1.75), (64, 1.96875)])
def test_bus_bandwidth_is_that_of_nccl_tests(world_size: int, factor: float) -> None:
    reduction = Reduction(size_bytes=10**9, seconds=0.5, is_right=True)
    assert algorithm_bandwidth(reduction) == 2.0
    assert bus_bandwidth(reduction, world_size) == pytest.approx(2.0 * factor)


@pytest.mark.parametrize(
    ("num_nodes", "has_gpus", "gigabytes_per_second", "verdict"),
    [(2, True, 40.0, "good"), (2, True, 2.0, "warning"), (1, True, 9.0, "warning"), (2, False, 0.11, "good"), (2, False, 0.01, "warning")],
)
def test_the_speed_of_the_largest_is_judged(num_nodes: int, has_gpus: bool, gigabytes_per_second: float, verdict: str) -> None:
    slow = Reduction(size_bytes=MIB, seconds=10.0, is_right=True)
    judged = Reduction(size_bytes=64 * MIB, seconds=64 * MIB / gigabytes_per_second / 1e9, is_right=True)
    small, large, sums = judge_reductions([slow, judged], world_size=2, num_nodes=num_nodes, has_gpus=has_gpus)
    assert (small.verdict, large.verdict, sums.verdict) == ("good", verdict, "good")
    assert f"{gigabytes_per_second:.3g} GB/s on the bus" in large.value


def test_a_sum_that_is_wrong_is_bad_however_fast_it_is() -> None:
    wrong = Reduction(size_bytes=16 * MIB, seconds=1e-4, is_right=False)
    *_, sums = judge_reductions([wrong], world_size=8, num_nodes=1, has_gpus=True)
    assert (sums.verdict, sums.value) == ("bad", "wrong for 16 MiB")


def test_ranks_that_reduce_right_say_so_and_how_fast() -> None:
    first, second = on_ranks(reductions, {"sizes": [MIB, 4 * MIB], "liar": None})
    assert [(size, is_right) for size, _, is_right in first] == [(MIB, True), (4 * MIB, True)]
    assert all(0 < seconds < 30 for _, seconds, _ in [*first, *second])


def test_every_rank_learns_that_one_of_them_gave_what_it_should_not() -> None:
    for found in on_ranks(reductions, {"sizes": [MIB], "liar": 1}):
        assert [is_right for *_, is_right in found] == [False]
