"""A run takes the most ranks that there is room for and that divide its batch."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.scheduling.sizes import Batch, largest_world_size, room_for_ranks


def node(name: str, *, cpus: float, gpus: float = 0, taken: float = 0) -> dict[str, object]:
    return {"NodeID": name, "Resources": {"CPU": cpus + taken, "GPU": gpus + taken}, "Available": {"CPU": cpus, "GPU": gpus}}


NODES = [node("a", cpus=4), node("b", cpus=16, gpus=8, taken=4), node("c", cpus=2, gpus=8), node("d", cpus=0, taken=9)]


def test_room_is_counted_by_node_in_cpus_or_gpus_that_nobody_has_taken() -> None:
    assert room_for_ranks(NODES, gpus_per_rank=0) == 22
    assert room_for_ranks(NODES, gpus_per_rank=1) == 10
    assert room_for_ranks(NODES, gpus_per_rank=3) == 4
    assert room_for_ranks(NODES, gpus_per_rank=1, excluded=["b"]) == 2


def test_eight_ranks_go_on_as_six_when_the_batch_divides_by_six() -> None:
    batch = Batch(sequences_per_step=48, micro_batch=2)
    assert [largest_world_size(room, batch, smallest=2, largest=8) for room in range(1, 11)] == [None, 2, 3, 4, 4, 6, 6, 8, 8, 8]


@given(st.integers(0, 64), st.integers(1, 8), st.integers(1, 32), st.integers(1, 16), st.integers(1, 64))
def test_the_size_fits_divides_and_is_the_largest_that_does(room: int, micro: int, times: int, smallest: int, more: int) -> None:
    batch, largest = Batch(sequences_per_step=micro * times, micro_batch=micro), smallest + more
    size = largest_world_size(room, batch, smallest=smallest, largest=largest)
    fitting = [n for n in range(smallest, min(room, largest) + 1) if micro * times % (micro * n) == 0]
    assert size == max(fitting, default=None)
