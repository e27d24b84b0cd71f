"""MosaicML streaming: MDS shards of token arrays, one Stream a source, mixed by `proportion`."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

from benchmarks.peers.port import Mix
from benchmarks.peers.serve import main
from benchmarks.rows import ROW, Rows


def _without_pictures() -> None:
    """Let streaming be imported beside a CPU torch: its picture datasets want torchvision, of which the common build wants CUDA."""
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):
        wanted = {"torchvision": {}, "datasets": {"VisionDataset": object}, "transforms": {}, "transforms.functional": {"to_tensor": None}}
        for name, members in wanted.items():
            full = name if name == "torchvision" else f"torchvision.{name}"
            sys.modules[full] = module_from_spec(ModuleSpec(full, None))
            vars(sys.modules[full]).update(members)


_without_pictures()
from streaming import MDSWriter, Stream, StreamingDataLoader, StreamingDataset  # noqa: E402


class _Loader:
    def __init__(self, loader: StreamingDataLoader) -> None:
        self._loader = loader

    def __iter__(self) -> Iterator[Any]:
        return (batch["tokens"] for batch in self._loader)

    def state(self, steps: int) -> Any:
        return self._loader.state_dict()


class Mosaic:
    """Its defaults, which its documentation says suit nearly all cases; canonical nodes fixed, as it asks for."""

    name = "mosaic"
    modules = ("mosaicml-streaming", "torch", "numpy")

    def __init__(self, batching_method: str = "random") -> None:
        self._batching_method = batching_method
        self.configuration = f"MDS shards, proportion, batching {batching_method}, shuffle py1e, num_workers=0"

    def convert(self, sources: Mapping[str, Iterable[Rows]], folder: Path) -> None:
        for source, rows in sources.items():
            with MDSWriter(out=str(folder / source), columns={"tokens": f"ndarray:uint16:{ROW}"}) as writer:
                for row in rows:
                    writer.write({"tokens": row})

    def load(self, folder: Path, mix: Mix, state: Any = None) -> _Loader:
        dataset = StreamingDataset(
            streams=[Stream(local=str(folder / source), proportion=share) for source, share in mix.shares.items()],
            epoch_size=mix.num_sequences,
            batch_size=mix.batch,
            batching_method=self._batching_method,
            num_canonical_nodes=1,
            shuffle=True,
            shuffle_seed=mix.seed,
        )
        loader = StreamingDataLoader(dataset, batch_size=mix.batch, num_workers=0)
        if state is not None:
            loader.load_state_dict(state)
        return _Loader(loader)


if __name__ == "__main__":
    main(Mosaic())
