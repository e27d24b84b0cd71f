"""What blocks say beside tokens: nothing where nothing needs it, and else the documents and the trained labels of every sequence."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.commands.planning import plan_run
from orchestrator.config.schema import Config
from orchestrator.errors import ConfigError, ShardError
from orchestrator.feed.block import Block, BlockBuilder
from orchestrator.feed.loader import load_batches
from orchestrator.feed.worker import FeedWorker, Place
from orchestrator.mixture.plan import Plan
from orchestrator.shards.epoch import Layout, read_epoch
from orchestrator.shards.manifest import read_manifest
from orchestrator.shards.reader import ShardReader
from tests.support.prepared import write_prepared

STEPS = 20


@dataclass(frozen=True)
class Prepared:
    """A plan, and its sources opened."""

    config: Config
    plan: Plan
    readers: list[ShardReader]

    def block(self, rank: int = 0, world_size: int = 1) -> Block:
        attention = self.config.feed.document_attention
        builder = BlockBuilder(self.plan, self.readers, document_attention=attention)
        return builder.build(range(STEPS), rank=rank, world_size=world_size)


def prepare(folder: Path, **changes: Any) -> Prepared:
    budget = {"mixture.total_tokens": STEPS * 4 * 32, "mixture.max_epochs": "{spec:9,code:9,docs:9}", "shards.shard_bytes": 3000}
    config = write_prepared(folder, **budget, **changes)
    plan = plan_run(config)
    directories = [Path(config.shards.dir) / source.name for source in plan.sources]
    readers = [ShardReader(d, read_manifest(d, d.name), "train", config.shards.packing) for d in directories]
    return Prepared(config, plan, readers)


def with_prefix(folder: Path) -> dict[str, object]:
    return {"sources.spec": f"{{role:spec,paths:[{folder}/spec],heldout_paths:[{folder}/heldout],masked_prefix:'the river '}}"}


def test_where_every_label_is_trained_over_whole_sequences_a_block_says_no_more_than_tokens(tmp_path: Path) -> None:
    block = prepare(tmp_path).block()
    assert (block.documents, block.trained) == (None, None)


def test_a_mask_of_one_source_is_in_blocks_of_all_and_true_elsewhere(tmp_path: Path) -> None:
    block = prepare(tmp_path, **with_prefix(tmp_path)).block()
    assert block.documents is None
    assert block.trained is not None
    assert block.trained[block.sources != 0].all()
    assert 0 < block.trained[block.sources == 0].mean() < 1


@pytest.mark.parametrize("packing", ["concatenate", "best_fit"])
def test_with_document_attention_the_first_token_of_a_document_is_no_label(tmp_path: Path, packing: str) -> None:
    prepared = prepare(tmp_path, **{"feed.document_attention": True, "shards.packing": packing})
    block = prepared.block()
    assert block.documents is not None and block.trained is not None
    begins = block.documents[..., 1:] != block.documents[..., :-1]
    after_separator = block.tokens[..., :-1] == 0
    assert begins.any()
    assert not block.trained[begins].any()
    assert not begins[~after_separator].any()
    filling = ~block.trained & ~begins
    assert not block.tokens[..., 1:][filling].any()  # separators
    assert filling.any() == (packing == "best_fit")
    assert packing == "best_fit" or np.array_equal(begins, after_separator)


@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_slice_the_marks_with_the_tokens(tmp_path: Path, world_size: int) -> None:
    prepared = prepare(tmp_path, **{"feed.document_attention": True})
    whole, parts = prepared.block(), [prepared.block(rank, world_size) for rank in range(world_size)]
    for name in ("tokens", "documents", "trained"):
        assert np.array_equal(np.concatenate([getattr(part, name) for part in parts], axis=1), getattr(whole, name))


@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("packing", ["concatenate", "best_fit"])
def test_an_epoch_of_a_source_trains_just_the_tokens_that_planning_counts(tmp_path: Path, packing: str, attention: bool) -> None:
    prepared = prepare(tmp_path, **with_prefix(tmp_path), **{"feed.document_attention": attention, "shards.packing": packing})
    length = prepared.plan.sequence_length
    layout = Layout(packing=prepared.config.shards.packing, sequence_length=length, document_attention=attention)
    for source, reader in zip(prepared.plan.sources, prepared.readers, strict=True):
        directory = Path(prepared.config.shards.dir) / source.name
        epoch = read_epoch(directory, read_manifest(directory, source.name), "train", layout)
        assert epoch.sequences == source.unique_sequences
        _, trained = reader.marks(np.arange(epoch.sequences), length, document_attention=attention)
        assert epoch.trained_tokens == trained.sum()


@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("packing", ["concatenate", "best_fit"])
def test_a_source_that_is_used_in_part_trains_just_the_tokens_that_planning_counts(tmp_path: Path, packing: str, attention: bool) -> None:
    layout = {"feed.document_attention": attention, "shards.packing": packing}
    prepared = prepare(tmp_path, **with_prefix(tmp_path), **layout, **{"mixture.unique_tokens": "{spec:300,docs:400}"})
    draws, length = prepared.plan.look_up(np.arange(prepared.plan.num_sequences)), prepared.plan.sequence_length
    for index in (0, 2):
        source, reader = prepared.plan.sources[index], prepared.readers[index]
        assert source.subset is not None
        first = draws.positions[(draws.sources == index) & (draws.epochs == 0)]
        assert len(first) == source.subset.sequences
        assert reader.marks(first, length, document_attention=attention)[1].sum() == source.subset.trained_tokens


def test_another_packing_or_attention_is_another_plan(tmp_path: Path) -> None:
    prints = set()
    for number, changes in enumerate([dict[str, Any](), {"feed.document_attention": True}, {"shards.packing": "best_fit"}]):
        prints.add(prepare(tmp_path / str(number), **changes).plan.fingerprint)
    assert len(prints) == 3


class InProcess:
    """A worker that answers at once; what it gives is handed on by the test in place of Ray."""

    def __init__(self, block: Block) -> None:
        self._block, self.block = block, self

    def remote(self, first_step: int, num_steps: int, *_: int) -> Block:
        assert (first_step, num_steps) == (0, STEPS)
        return self._block


def test_batches_are_the_steps_of_blocks_with_their_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.get", lambda block: block)
    block = prepare(tmp_path, **{"feed.document_attention": True}).block()
    batches = list(
        load_batches(
            [FeedWorker(InProcess(block), Place("here", False))], range(STEPS), steps_per_block=STEPS, prefetch_blocks=1, rank_of=(0, 1)
        )
    )
    assert [batch.step for batch in batches] == list(range(STEPS))
    for name in ("tokens", "sources", "documents", "trained"):
        assert np.array_equal(np.stack([getattr(batch, name) for batch in batches]), getattr(block, name))


def test_a_source_that_is_not_packed_or_prepared_otherwise_is_refused_by_the_plan(tmp_path: Path) -> None:
    config = prepare(tmp_path).config
    with pytest.raises(ShardError, match=r"is not packed for training\.sequence_length=32"):
        plan_run(replace(config, shards=replace(config.shards, packing="best_fit")))
    sources = config.sources | {"spec": replace(config.sources["spec"], masked_prefix="a")}
    with pytest.raises(ConfigError, match=r"'spec' was prepared.*masked_prefix"):
        plan_run(replace(config, sources=sources))
