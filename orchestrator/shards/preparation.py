"""What preparing a source takes, as a list of independent units, and what their results come to. Who runs the units is not its business."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import xxhash

from orchestrator.config.schema import ShardsConfig, SourceConfig
from orchestrator.corpus.files import Unit, into_units, list_files
from orchestrator.errors import DataError
from orchestrator.shards.encoder import EngineName
from orchestrator.shards.manifest import Manifest, UnitResult, write_manifest
from orchestrator.shards.tokenize import UnitTask
from orchestrator.shards.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class SourceWork:
    """The units of one source."""

    name: str
    config: SourceConfig
    tasks: list[UnitTask]


def plan_source(
    name: str, source: SourceConfig, shards: ShardsConfig, vocabulary: Vocabulary, engine: EngineName = "tokenizers"
) -> SourceWork:
    """List the units of a source: those of its training files, then those of its held-out files.

    Args:
        name, source, shards: as configured.
        vocabulary: the tokenizer.
        engine: what encodes the source's documents; see `choose_engine`.

    Raises:
        DataError: files are missing or empty.
    """
    groups = [(into_units(list_files(name, source.paths), shards.shard_bytes), source.heldout_share)]
    if source.heldout_paths:
        _refuse_shared(name, groups[0][0], list_files(name, source.heldout_paths))
        groups.append((into_units(list_files(name, source.heldout_paths), shards.shard_bytes), 1.0))
    units = [(unit, share) for group, share in groups for unit in group]
    tasks = [
        UnitTask(
            directory=Path(shards.dir) / name,
            index=index,
            unit=unit,
            text_field=source.text_field,
            heldout_share=share,
            vocabulary=vocabulary,
            engine=engine,
        )
        for index, (unit, share) in enumerate(units)
    ]
    return SourceWork(name, source, tasks)


def source_request(source: SourceConfig) -> str:
    """A hash of what the configuration says of a source's files and its held-out documents; another one is another preparation."""
    said = [source.paths, source.heldout_paths, source.heldout_share, source.text_field]
    return xxhash.xxh3_128_hexdigest(json.dumps(said).encode())


def _refuse_shared(name: str, trained: Sequence[Unit], heldout: Sequence[tuple[str, int]]) -> None:
    """A file that is trained says nothing when it is measured."""
    files = {path for unit in trained for path, _ in unit.files}
    if shared := [path for path, _ in heldout if path in files]:
        raise DataError(f"source {name!r}: {shared[0]} is both in paths and in heldout_paths. Take it out of one of them.")


def finish_source(work: SourceWork, results: Sequence[UnitResult], vocabulary: Vocabulary) -> Manifest:
    """Write a source's manifest from the results of its units, in their order.

    Raises:
        DataError: no document was left to train on.
    """
    rejects = [reject for result in results for reject in result.rejects]
    manifest = Manifest(
        name=work.name,
        role=work.config.role,
        request=source_request(work.config),
        dtype=vocabulary.dtype.name,
        tokenizer=vocabulary.fingerprint,
        separator_id=vocabulary.separator_id,
        train=[result.train for result in results if result.train],
        heldout=[result.heldout for result in results if result.heldout],
        rejects=len(rejects),
    )
    if not manifest.tokens("train"):
        first = f" The first of {len(rejects)} rejected: {rejects[0][0]}: {rejects[0][1]}." if rejects else ""
        raise DataError(f"source {work.name!r} has no tokens to train on.{first} Check sources.{work.name}.paths and text_field.")
    write_manifest(manifest, work.tasks[0].directory)
    return manifest
