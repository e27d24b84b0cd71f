"""How ranks wait for and talk to each other."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

Value = TypeVar("Value")


class Ranks(Protocol):
    """A rank, and the others."""

    rank: int
    world_size: int

    def barrier(self) -> None: ...

    def gather(self, value: Any) -> list[Any]:
        """Each rank's value, in the order of ranks, on every rank."""
        ...

    def broadcast(self, value: Any) -> Any:
        """Rank 0's value, on every rank."""
        ...


def from_rank_zero(ranks: Ranks, value: Callable[[], Value]) -> Value:
    """What rank 0 finds, on every rank. A collective.

    Args:
        ranks: all of them.
        value: called on rank 0 alone; an exception that it raises is raised on every rank.
    """
    found: tuple[Value | None, Exception | None] = (None, None)
    if ranks.rank == 0:
        try:
            found = (value(), None)
        except Exception as error:
            found = (None, error)
    result, failure = ranks.broadcast(found)
    if failure is not None:
        raise failure
    return result  # type: ignore[no-any-return]
