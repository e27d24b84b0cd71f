"""This project: token shards, a plan, and `build_block` in one process, as a data-mixing worker calls it."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from benchmarks.peers.port import Mix
from benchmarks.peers.serve import main
from benchmarks.rows import SEQUENCE_LENGTH, SOURCES, VOCABULARY, Rows
from orchestrator.feed.block import build_block
from orchestrator.feed.slices import steps_per_block
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.planning import Supply, make_plan
from orchestrator.shards.manifest import Manifest, Shard, read_manifest, write_manifest
from orchestrator.shards.reader import ShardReader

BLOCK_BYTES = 2 << 20


class _Loader:
    def __init__(self, plan: Plan, readers: list[ShardReader], mix: Mix, first_step: int) -> None:
        self._plan, self._readers, self._mix, self._first_step = plan, readers, mix, first_step

    def __iter__(self) -> Iterator[Any]:
        each = steps_per_block(BLOCK_BYTES, sequence_bytes=2 * SEQUENCE_LENGTH, sequences_per_rank=self._mix.batch)
        for start in range(self._first_step, self._plan.steps, each):
            steps = range(start, min(start + each, self._plan.steps))
            rank, world_size = self._mix.rank, self._mix.world_size
            yield from build_block(self._plan, self._readers, steps=steps, rank=rank, world_size=world_size).tokens

    def state(self, steps: int) -> Any:
        return steps


class Ours:
    """Plan look-up and gather, in blocks of 2 MiB."""

    name = "ours"
    modules = ("midtrain", "numpy")
    configuration = "plan look-up and gather (build_block), blocks of 2 MiB, no Ray"

    def convert(self, sources: Mapping[str, Iterable[Rows]], folder: Path) -> None:
        """The tokens are written in this format to begin with; what is missing is the manifests."""
        for source in sources:
            (folder / source).symlink_to(Path("..") / "tokens" / source)
            write_source_manifest(folder / source, source, shards=_shards(folder / source))

    def load(self, folder: Path, mix: Mix, state: Any = None) -> _Loader:
        plan = plan_of(folder, mix)
        readers = [ShardReader(folder / source, read_manifest(folder / source, source), "train") for source in SOURCES]
        return _Loader(plan, readers, mix, first_step=state or 0)


def _shards(folder: Path) -> list[Shard]:
    return [
        Shard(file=path.name, tokens=path.stat().st_size // 2, documents=1, xxhash=hashlib.md5(path.read_bytes()).hexdigest())
        for path in sorted(folder.glob("train_*.bin"))
    ]


def write_source_manifest(folder: Path, source: str, shards: list[Shard]) -> Manifest:
    """The manifest of shards that no command prepared."""
    role = "spec" if source.startswith("spec") else "general"
    manifest = Manifest(
        name=source,
        role=role,
        request="",
        dtype="uint16",
        tokenizer=f"random ids below {VOCABULARY}",
        separator_id=0,
        train=shards,
        heldout=[],
        rejects=0,
    )
    write_manifest(manifest, folder)
    return manifest


def plan_of(folder: Path, mix: Mix) -> Plan:
    """The plan of a mix of the two sources."""
    manifests = [read_manifest(folder / source, source) for source in SOURCES]
    spec_share = Fraction(str(mix.spec_share))
    supplies = [supply_of(manifest, spec_share if manifest.role == "spec" else 1 - spec_share) for manifest in manifests]
    return make_plan(
        supplies,
        total_tokens=mix.num_sequences * SEQUENCE_LENGTH,
        sequence_length=SEQUENCE_LENGTH,
        sequences_per_step=mix.global_batch,
        seed=mix.seed,
    )


def supply_of(manifest: Manifest, share: Fraction) -> Supply:
    """A source of which any number of epochs may be trained."""
    return Supply(
        name=manifest.name,
        role=manifest.role,
        fingerprint=manifest.fingerprint,
        unique_sequences=manifest.unique_sequences("train", SEQUENCE_LENGTH),
        asked_share=share,
        max_epochs=float(1 << 40),
    )


if __name__ == "__main__":
    main(Ours())
