"""This project: token shards, a plan, and blocks built in one process, as a data-mixing worker builds them."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.own import plane
from benchmarks.peers.port import Mix
from benchmarks.peers.serve import main
from benchmarks.rows import SOURCES, Rows


class _Loader:
    def __init__(self, folder: Path, mix: Mix, first_step: int) -> None:
        plan, readers = plane.plan_of_mix(folder, mix), plane.open_readers(folder, list(SOURCES))
        self._blocks = plane.blocks(plan, readers, first_step=first_step, rank=mix.rank, world_size=mix.world_size)

    def __iter__(self) -> Iterator[Any]:
        return (batch for block in self._blocks for batch in block.tokens)

    def state(self, steps: int) -> Any:
        return steps


class Ours:
    """Plan look-up and gather; the state is the number of the step."""

    name = "ours"
    modules = ("midtrain", "numpy")
    configuration = "plan look-up and gather in blocks of 2 MiB, no Ray"

    def convert(self, sources: Mapping[str, Iterable[Rows]], folder: Path) -> None:
        """The tokens are written in this format to begin with; what is missing is the manifests."""
        for source in sources:
            (folder / source).mkdir()
            for file in sorted((folder.parent / "tokens" / source).glob("train_*.bin")):
                (folder / source / file.name).hardlink_to(file)
            plane.write_source(folder / source, [plane.hashed_shard(file) for file in sorted((folder / source).glob("*.bin"))])

    def load(self, folder: Path, mix: Mix, state: Any = None) -> _Loader:
        return _Loader(folder, mix, first_step=state or 0)


if __name__ == "__main__":
    main(Ours())
