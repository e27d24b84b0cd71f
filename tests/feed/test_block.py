"""Blocks of real shards: the tokens of the plan, whoever builds them and in whatever pieces."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from orchestrator.commands.planning import plan_run
from orchestrator.feed.block import Block, BlockBuilder
from orchestrator.mixture.plan import Plan
from orchestrator.shards.manifest import read_manifest
from orchestrator.shards.reader import ShardReader
from tests.support.prepared import write_prepared

STEPS = 60
WORLD_SIZES = [1, 2, 3, 4, 6, 12]


@dataclass(frozen=True)
class Prepared:
    """A plan on real shards: several small ones a source, more than one epoch of the spec, and a part of the docs."""

    plan: Plan
    readers: list[ShardReader]
    tokens: list[NDArray[np.unsignedinteger]]  # of each source, all shards read whole

    def block(self, steps: range, rank: int = 0, world_size: int = 1) -> Block:
        return BlockBuilder(self.plan, self.readers).build(steps, rank=rank, world_size=world_size)

    def at_once(self) -> Block:
        return self.block(range(self.plan.steps))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("blocks")
    changes = {
        "shards.shard_bytes": 1500,
        "mixture.spec_share": 0.5,
        "mixture.total_tokens": STEPS * 12 * 32,
        "mixture.max_epochs": "{spec:9,code:9,docs:9}",
        "mixture.unique_tokens": "{docs:1600}",
        "training.sequences_per_step": 12,
    }
    plan = plan_run(write_prepared(folder, **changes))
    directories = [folder / "shards" / source.name for source in plan.sources]
    manifests = [read_manifest(directory, directory.name) for directory in directories]
    assert len(manifests[0].train) > 5
    readers = [ShardReader(directory, manifest, "train") for directory, manifest in zip(directories, manifests, strict=True)]
    tokens = [read_whole(directory, [shard.file for shard in m.train]) for directory, m in zip(directories, manifests, strict=True)]
    return Prepared(plan, readers, tokens)


def read_whole(directory: Path, files: list[str]) -> NDArray[np.unsignedinteger]:
    return np.concatenate([np.fromfile(directory / file, dtype="<u2") for file in files])


def test_the_plan_under_test_repeats_the_spec_and_has_every_source(prepared: Prepared) -> None:
    spec = prepared.plan.sources[0]
    assert prepared.plan.sequences[0] > 1.5 * spec.unique_sequences
    assert all(prepared.plan.sequences)


def test_every_sequence_of_a_block_is_the_run_of_tokens_that_the_plan_names(prepared: Prepared) -> None:
    block, length = prepared.at_once(), prepared.plan.sequence_length
    assert block.tokens.shape == (STEPS, 12, length + 1)
    draws = prepared.plan.look_up(np.arange(prepared.plan.num_sequences))
    assert block.sources.ravel().tolist() == draws.sources.tolist()
    for row, index, position in zip(block.tokens.reshape(-1, length + 1), draws.sources, draws.positions, strict=True):
        assert row.tolist() == prepared.tokens[index][position * length : (position + 1) * length + 1].tolist()


def test_every_trained_token_of_an_epoch_is_trained_exactly_once(prepared: Prepared) -> None:
    block, spec, length = prepared.at_once(), prepared.plan.sources[0], prepared.plan.sequence_length
    rows = block.tokens.reshape(-1, length + 1)[block.sources.ravel() == 0][: spec.unique_sequences]
    whole = prepared.tokens[0][: spec.unique_sequences * length + 1]
    assert np.array_equal(np.bincount(rows[:, 1:].ravel()), np.bincount(whole[1:]))
    assert np.array_equal(np.bincount(rows[:, :-1].ravel()), np.bincount(whole[:-1]))


@pytest.mark.parametrize("world_size", WORLD_SIZES)
def test_the_blocks_of_all_ranks_side_by_side_are_the_block_of_one_rank(prepared: Prepared, world_size: int) -> None:
    at_once = prepared.at_once()
    blocks = [prepared.block(range(prepared.plan.steps), rank, world_size) for rank in range(world_size)]
    assert np.array_equal(np.concatenate([block.tokens for block in blocks], axis=1), at_once.tokens)
    assert np.array_equal(np.concatenate([block.sources for block in blocks], axis=1), at_once.sources)


@settings(deadline=None, max_examples=25)
@given(data=st.data(), world_size=st.sampled_from(WORLD_SIZES), steps_per_block=st.integers(1, STEPS + 1))
def test_blocks_of_any_size_from_any_step_at_any_world_size_hold_the_same_tokens(
    prepared: Prepared, data: st.DataObject, world_size: int, steps_per_block: int
) -> None:
    first, at_once = data.draw(st.integers(0, prepared.plan.steps - 1)), prepared.at_once()
    for rank in range(world_size):
        mine = slice(12 // world_size * rank, 12 // world_size * (rank + 1))
        for start in range(first, prepared.plan.steps, steps_per_block):
            stop = min(start + steps_per_block, prepared.plan.steps)
            block = prepared.block(range(start, stop), rank, world_size)
            assert block.first_step == start
            assert np.array_equal(block.tokens, at_once.tokens[start:stop, mine])
            assert np.array_equal(block.sources, at_once.sources[start:stop, mine])


def test_a_run_that_goes_on_at_another_world_size_trains_what_it_would_have(prepared: Prepared) -> None:
    before = [prepared.block(range(17), rank, 4).tokens for rank in range(4)]
    after = [prepared.block(range(17, STEPS), rank, 3).tokens for rank in range(3)]
    together = np.vstack([np.concatenate(before, axis=1), np.concatenate(after, axis=1)])
    assert np.array_equal(together, prepared.at_once().tokens)


def test_another_seed_trains_other_tokens_of_the_same_sources(prepared: Prepared) -> None:
    other = dataclasses.replace(prepared, plan=dataclasses.replace(prepared.plan, seed=prepared.plan.seed + 1)).at_once()
    assert np.array_equal(other.sources, prepared.at_once().sources)
    assert not np.array_equal(other.tokens, prepared.at_once().tokens)


def test_blocks_have_the_type_of_the_token_files(prepared: Prepared) -> None:
    block = prepared.block(range(1))
    assert (block.tokens.dtype.name, block.sources.dtype.name) == ("uint16", "int64")


def test_a_span_of_no_step_is_a_block_of_no_step(prepared: Prepared) -> None:
    block = prepared.block(range(5, 5), world_size=4)
    assert block.tokens.shape == (0, 3, prepared.plan.sequence_length + 1)
    assert block.sources.shape == (0, 3)
