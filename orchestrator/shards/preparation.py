"""What preparing a source takes, as a list of independent units, and what their results come to. Who runs the units is not its business."""

import json
import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import xxhash

from orchestrator.config.schema import CorpusConfig, ShardsConfig, SourceConfig
from orchestrator.corpus.documents import Reject
from orchestrator.corpus.files import into_units, list_files
from orchestrator.corpus.storage import SourceFile
from orchestrator.errors import DataError
from orchestrator.shards.chat import ChatTemplate, load_chat_template
from orchestrator.shards.encoder import EngineName
from orchestrator.shards.encoding import Rendering
from orchestrator.shards.manifest import Manifest, UnitResult, write_manifest, write_rejects
from orchestrator.shards.tokenize import UnitTask
from orchestrator.shards.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class SourceWork:
    """The units of one source."""

    name: str
    config: SourceConfig
    corpus: CorpusConfig
    chat: ChatTemplate | None
    tasks: list[UnitTask]


def plan_source(
    name: str,
    source: SourceConfig,
    shards: ShardsConfig,
    vocabulary: Vocabulary,
    *,
    corpus: CorpusConfig,
    engine: EngineName = "tokenizers",
    chat: ChatTemplate | None = None,
) -> SourceWork:
    """List the units of a source: those of its training files, then those of its held-out files.

    Args:
        name, source, shards: as configured.
        vocabulary: the tokenizer.
        corpus: as configured.
        engine: what encodes the source's documents; see `choose_engine`.
        chat: the model's chat template, if the source is one of conversations.

    Raises:
        OrchestratorError: files are missing or empty, or cannot be reached.
    """
    trained = list_files(name, source.paths)
    heldout = list_files(name, source.heldout_paths) if source.heldout_paths else []
    _refuse_shared(name, trained, heldout)
    if source.messages_field is not None:
        _refuse_texts(name, [*trained, *heldout])
    groups = ((trained, source.heldout_share), (heldout, 1.0))
    units = [(unit, share) for files, share in groups for unit in into_units(files, shards.shard_bytes)]
    tasks = [
        UnitTask(
            directory=Path(shards.dir) / name,
            index=index,
            unit=unit,
            text_field=source.text_field,
            messages_field=source.messages_field,
            markdown=source.markdown,
            heldout_share=share,
            max_document_tokens=corpus.max_document_tokens,
            rendering=Rendering(masked_prefix=source.masked_prefix, chat=chat),
            vocabulary=vocabulary,
            engine=engine,
        )
        for index, (unit, share) in enumerate(units)
    ]
    return SourceWork(name, source, corpus, chat, tasks)


def source_request(source: SourceConfig, max_document_tokens: int | None, chat: ChatTemplate | None = None) -> str:
    """A hash of what the configuration and the chat template say of a source's documents; another one is another preparation."""
    said = [source.paths, source.heldout_paths, source.heldout_share, source.text_field, source.markdown, max_document_tokens]
    rendered = [source.messages_field, source.masked_prefix, chat and astuple(chat)]
    return xxhash.xxh3_128_hexdigest(json.dumps([*said, *rendered]).encode())


def chat_template_of(source: SourceConfig, model_path: str) -> ChatTemplate | None:
    """The model's chat template, if a source is one of conversations.

    Raises:
        ConfigError: the model has none.
    """
    return None if source.messages_field is None else load_chat_template(model_path)


def _refuse_shared(name: str, trained: Sequence[SourceFile], heldout: Sequence[SourceFile]) -> None:
    """A file that is trained says nothing when it is measured."""
    paths = {file.path for file in trained}
    if shared := [file.path for file in heldout if file.path in paths]:
        raise DataError(f"source {name!r}: {shared[0]} is both in paths and in heldout_paths. Take it out of one of them.")


def _refuse_texts(name: str, files: Sequence[SourceFile]) -> None:
    """A text is no conversation."""
    if texts := [file.path for file in files if file.path.endswith((".txt", ".md"))]:
        raise DataError(
            f"source {name!r} has messages_field, and {texts[0]} is a text. Give JSONL or Parquet, or make it a source of its own."
        )


def finish_source(work: SourceWork, results: Sequence[UnitResult], vocabulary: Vocabulary) -> Manifest:
    """Write a source's `rejects.jsonl` and, unless there are too many, its manifest, from the results of its units in their order.

    Raises:
        DataError: too many rejects, or no document was left to train on. There is no manifest then, also none of before.
    """
    rejects = [reject for result in results for reject in result.rejects]
    manifest = Manifest(
        name=work.name,
        role=work.config.role,
        request=source_request(work.config, work.corpus.max_document_tokens, work.chat),
        dtype=vocabulary.dtype.name,
        tokenizer=vocabulary.fingerprint,
        separator_id=vocabulary.separator_id,
        train=[result.train for result in results if result.train],
        heldout=[result.heldout for result in results if result.heldout],
        rejects=len(rejects),
    )
    directory = work.tasks[0].directory
    listed = write_rejects(rejects, directory)
    try:
        _check_tokens(manifest, rejects)
        _check_rejects(manifest, rejects, work.corpus.max_reject_share, listed)
    except DataError:
        (directory / "manifest.json").unlink(missing_ok=True)
        raise
    write_manifest(manifest, directory)
    return manifest


def _check_tokens(manifest: Manifest, rejects: Sequence[Reject]) -> None:
    if not manifest.tokens("train"):
        first = f" The first of {len(rejects)} rejected: {_shown(rejects[:1])}." if rejects else ""
        raise DataError(f"source {manifest.name!r} has no tokens to train on.{first} Check sources.{manifest.name}.paths and text_field.")


def _check_rejects(manifest: Manifest, rejects: Sequence[Reject], max_share: float, listed: Path) -> None:
    num_read = len(rejects) + manifest.documents("train") + manifest.documents("heldout")
    share = len(rejects) / num_read
    if share > max_share:
        enough = math.ceil(share * 10_000) / 10_000
        raise DataError(
            f"source {manifest.name!r}: {len(rejects):,} of the {num_read:,} things read are no documents, a share of {share:.3g}, over "
            f"corpus.max_reject_share={max_share:g}. The first: {_shown(rejects[:3])}. All of them: {listed}. Mend the files, or set "
            f"corpus.max_reject_share={enough:g} and prepare again, which is quick: what was tokenised is kept."
        )


def _shown(rejects: Sequence[Reject]) -> str:
    return "; ".join(f"{reject.origin}: {reject.reason}" for reject in rejects)
