"""megatron-core: GPTDataset and BlendedDataset by their builder, batched as Megatron-LM's own pretraining sampler does."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch.distributed as dist
from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder
from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig
from megatron.core.datasets.indexed_dataset import IndexedDatasetBuilder
from torch.utils.data import DataLoader

from benchmarks.peers.port import Mix
from benchmarks.peers.serve import main
from benchmarks.rows import SEQUENCE_LENGTH, VOCABULARY, Rows

_TOKENIZER = SimpleNamespace(vocab_size=VOCABULARY, eod=0, pad=-1, unique_identifiers={"class": "ids"})


class _Loader:
    def __init__(self, loader: Iterable[Any]) -> None:
        self._loader = loader

    def __iter__(self) -> Iterator[Any]:
        return (batch["tokens"] for batch in self._loader)

    def state(self, steps: int) -> Any:
        return steps


def _join_ranks(mix: Mix) -> None:
    """Its index builder asks for torch.distributed."""
    if not dist.is_initialized():
        alone = {"store": dist.HashStore()} if mix.world_size == 1 else {}
        dist.init_process_group("gloo", rank=mix.rank, world_size=mix.world_size, **alone)


def _steps(mix: Mix, first: int) -> Iterator[range]:
    """What MegatronPretrainingSampler yields after `consumed_samples`: each rank the next contiguous part of the global batch."""
    for step in range(first, mix.steps):
        start = step * mix.global_batch + mix.rank * mix.batch
        yield range(start, start + mix.batch)


class Megatron:
    """A document a sequence, so that sequences keep their names; its batches carry labels, loss mask and positions too."""

    name = "megatron"
    modules = ("megatron-core", "torch", "numpy")
    configuration = "BlendedDataset of GPTDatasets, .bin/.idx of uint16, indices cached, no attention mask, num_workers=0"

    def convert(self, sources: Mapping[str, Iterable[Rows]], folder: Path) -> None:
        for source, rows in sources.items():
            builder = IndexedDatasetBuilder(str(folder / f"{source}.bin"), dtype=np.uint16)
            for row in rows:
                builder.add_document(row[:SEQUENCE_LENGTH], [SEQUENCE_LENGTH])
            builder.finalize(str(folder / f"{source}.idx"))

    def load(self, folder: Path, mix: Mix, state: Any = None) -> _Loader:
        _join_ranks(mix)
        config = GPTDatasetConfig(
            random_seed=mix.seed,
            sequence_length=SEQUENCE_LENGTH,
            blend=([str(folder / source) for source in mix.shares], list(mix.shares.values())),
            split="1,0,0",
            path_to_cache=str(folder / "cache"),
            tokenizer=_TOKENIZER,
            reset_position_ids=False,
            reset_attention_mask=False,
            eod_mask_loss=False,
            create_attention_mask=False,
        )
        train, _, _ = BlendedMegatronDatasetBuilder(GPTDataset, [mix.num_sequences, 0, 0], lambda: True, config).build()
        return _Loader(DataLoader(train, batch_sampler=_steps(mix, first=state or 0), num_workers=0))


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main(Megatron())
