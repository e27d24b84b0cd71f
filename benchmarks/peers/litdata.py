"""LitData: `optimize` into token chunks, TokensLoader, CombinedStreamingDataset with weights, as its guide to pretraining does."""

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from litdata import CombinedStreamingDataset, StreamingDataLoader, StreamingDataset, TokensLoader, optimize

from benchmarks.peers.port import Mix
from benchmarks.peers.serve import main
from benchmarks.rows import ROW, Rows

_CHUNK_TOKENS = ROW * 8_012  # of its guide


def _stored_rows(folder: str, index: int) -> Iterator[Rows]:
    yield from np.load(f"{folder}.npy", mmap_mode="r")


class LitData:
    """Weights need iterate_over_all=False, so it ends when one of the sources does."""

    name = "litdata"
    modules = ("litdata", "torch", "numpy")
    configuration = "TokensLoader chunks of 32 MiB, CombinedStreamingDataset with weights, num_workers=0"

    def convert(self, sources: Mapping[str, Iterable[Rows]], folder: Path) -> None:
        for source, rows in sources.items():
            target = folder / source
            np.save(f"{target}.npy", np.stack(list(rows)))
            optimize(
                fn=partial(_stored_rows, str(target)),
                inputs=[0],
                output_dir=str(target),
                chunk_size=_CHUNK_TOKENS,
                item_loader=TokensLoader(),
                num_workers=1,
            )
            Path(f"{target}.npy").unlink()

    def load(self, folder: Path, mix: Mix, state: Any = None) -> StreamingDataLoader:
        os.environ |= {"GLOBAL_RANK": str(mix.rank), "NNODES": "1", "WORLD_SIZE": str(mix.world_size)}
        datasets = [
            StreamingDataset(str(folder / source), item_loader=TokensLoader(block_size=ROW), shuffle=True, drop_last=True, seed=mix.seed)
            for source in mix.shares
        ]
        mixed = CombinedStreamingDataset(datasets, seed=mix.seed, weights=tuple(mix.shares.values()), iterate_over_all=False)
        loader = _Loader(mixed, batch_size=mix.batch, num_workers=0, drop_last=True)
        if state is not None:
            loader.load_state_dict(state)
        return loader


class _Loader(StreamingDataLoader):
    def state(self, steps: int) -> Any:
        return self.state_dict()


if __name__ == "__main__":
    main(LitData())
