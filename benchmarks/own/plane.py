"""The one place where the benchmark touches this project's data plane: manifests, plans, readers, blocks."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import xxhash

from benchmarks.peers.port import Mix
from benchmarks.rows import SEQUENCE_LENGTH, SOURCES
from orchestrator.feed.block import Block, BlockBuilder
from orchestrator.feed.slices import steps_per_block
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.planning import make_plan
from orchestrator.mixture.wishes import Ratios, StageWish, Supply
from orchestrator.shards.engines import EngineChoice
from orchestrator.shards.manifest import Audit, Manifest, Shard, read_manifest, write_manifest
from orchestrator.shards.reader import ShardReader

BLOCK_BYTES = 2 << 20


def write_source(folder: Path, shards: list[Shard]) -> None:
    """The manifest of a source whose shards no command prepared; one whose name begins with spec has that role."""
    manifest = Manifest(
        name=folder.name,
        role="spec" if folder.name.startswith("spec") else "general",
        request="",
        dtype="uint16",
        tokenizer="random ids",
        separator_id=0,
        train=shards,
        heldout=[],
        num_read=sum(shard.documents for shard in shards),
        rejects=0,
        dropped=0,
        engine=EngineChoice(name="tokenizers", sampled_documents=0, sampled_bytes=0, reason="nothing was tokenised"),
        audit=Audit(),
    )
    write_manifest(manifest, folder)


def hashed_shard(path: Path) -> Shard:
    """A token file as a manifest lists it."""
    tokens = path.read_bytes()
    return Shard(file=path.name, tokens=len(tokens) // 2, documents=1, xxhash=xxhash.xxh3_128_hexdigest(tokens))


def plan_of(manifests: list[Manifest], shares: list[Fraction], *, num_sequences: int, sequences_per_step: int, seed: int) -> Plan:
    """A plan in which any number of epochs is allowed."""
    ratios = Ratios(by_source={manifest.name: share for manifest, share in zip(manifests, shares, strict=True)})
    return make_plan(
        list(map(_supply, manifests)),
        [StageWish(start=ratios, end=ratios)],
        total_tokens=num_sequences * SEQUENCE_LENGTH,
        sequence_length=SEQUENCE_LENGTH,
        sequences_per_step=sequences_per_step,
        seed=seed,
    )


def _supply(manifest: Manifest) -> Supply:
    unique_sequences = manifest.unique_sequences("train", SEQUENCE_LENGTH)
    return Supply(
        name=manifest.name,
        role=manifest.role,
        fingerprint=manifest.fingerprint,
        unique_sequences=unique_sequences,
        trained_tokens=unique_sequences * SEQUENCE_LENGTH,
        max_epochs=None,
    )


def plan_of_mix(folder: Path, mix: Mix) -> Plan:
    """The plan of a mix of the two synthetic sources."""
    spec_share = Fraction(str(mix.spec_share))
    shares = {"spec": spec_share, "general": 1 - spec_share}
    manifests = [read_manifest(folder / source, source) for source in SOURCES]
    return plan_of(
        manifests,
        [shares[source] for source in SOURCES],
        num_sequences=mix.num_sequences,
        sequences_per_step=mix.global_batch,
        seed=mix.seed,
    )


def open_readers(folder: Path, names: list[str]) -> list[ShardReader]:
    """Every source's shards, as a data-mixing worker opens them."""
    return [ShardReader(folder / name, read_manifest(folder / name, name), "train") for name in names]


def block_steps(batch: int) -> int:
    """How many steps of so many sequences make a block."""
    return steps_per_block(BLOCK_BYTES, sequence_bytes=2 * SEQUENCE_LENGTH, sequences_per_rank=batch)


def blocks(plan: Plan, readers: list[ShardReader], *, first_step: int, rank: int, world_size: int) -> Iterator[Block]:
    """A rank's blocks from a step on, built where this is called."""
    each, builder = block_steps(plan.sequences_per_step // world_size), BlockBuilder(plan, readers)
    for start in range(first_step, plan.steps, each):
        yield builder.build(range(start, min(start + each, plan.steps)), rank=rank, world_size=world_size)
