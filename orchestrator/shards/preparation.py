"""What preparing a source takes, and what its results come to. Who runs the units is not its business."""

import json
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import astuple, replace
from pathlib import Path

import xxhash

from orchestrator.config.data import CorpusConfig, SourceConfig
from orchestrator.corpus.audit import shorten
from orchestrator.corpus.duplicate_search import DuplicateCount
from orchestrator.corpus.rejects import FoundBy, Rejects, join_files, joined, rejects_file
from orchestrator.corpus.source_audit import SourceAudit, refuse_nothing_to_train, refuse_rejects
from orchestrator.corpus.unit_audit import UnitAudit, ids_file
from orchestrator.corpus.units import SPLITS, writing_to
from orchestrator.errors import DataError
from orchestrator.runs.durable import hash_file, write_whole
from orchestrator.shards.chat import ChatTemplate, load_chat_template
from orchestrator.shards.engines import EngineChoice
from orchestrator.shards.manifest import Audit, Manifest, forget_manifest, write_manifest
from orchestrator.shards.tokenize import UnitResult
from orchestrator.shards.vocabulary import Vocabulary

_REJECTS = "rejects.jsonl"
_OF_A_UNIT = re.compile(r"(?:train|heldout|unit|audit)_\d{5,}\..+")
_PACKED = re.compile(r"((?:train|heldout)_\d{5,})\.best_fit_\d+\.(?:bin|json)")
_PARTIAL = re.compile(r".+\.partial-\d+")


def source_request(name: str, sources: Mapping[str, SourceConfig], corpus: CorpusConfig, chat: ChatTemplate | None) -> str:
    """A hash of what the configuration and the chat template say of a source's documents; another one is another preparation.

    Args:
        name: the source.
        sources: all of them: where duplicates are removed, any of them may hold what another one drops.
        corpus: what is rejected, looked for and dropped.
        chat: what the source's conversations are rendered by; none: it has none.
    """
    involved = sources if corpus.duplicates == "remove" else {name: sources[name]}
    said = [
        [(other, source.role, *_documents_of(source)) for other, source in involved.items()],
        [corpus.max_document_tokens, corpus.duplicates, corpus.evaluation_sets, sorted(corpus.allowed_overlap)],
        [name, chat and astuple(chat)],
    ]
    return xxhash.xxh3_128_hexdigest(json.dumps(said).encode())


def chat_template_of(source: SourceConfig, model_path: str) -> ChatTemplate | None:
    """The model's chat template, if a source is one of conversations.

    Raises:
        ConfigError: the model has none.
    """
    return None if source.messages_field is None else load_chat_template(model_path)


def _documents_of(source: SourceConfig) -> tuple[object, ...]:
    return (
        source.paths,
        source.heldout_paths,
        source.heldout_share,
        source.text_field,
        source.markdown,
        source.messages_field,
        source.masked_prefix,
    )


def check_audit(audit: SourceAudit, max_reject_share: float) -> None:
    """Refuse a source that an audit found to be unfit, after writing its `rejects.jsonl`.

    Raises:
        DataError: too many rejects, or no document to train on. There is no manifest then, also none of before.
        InfrastructureError: the list cannot be written.
    """
    rejects = _list_rejects(audit, "audit", audit.audits)
    _check(audit, rejects, num_read=audit.num_read, num_trained=audit.num_trained, max_share=max_reject_share)


def finish_source(
    audit: SourceAudit,
    results: Sequence[UnitResult],
    *,
    request: str,
    vocabulary: Vocabulary,
    engine: EngineChoice,
    duplicates: Sequence[DuplicateCount],
    max_reject_share: float,
) -> Manifest:
    """Write a source's `rejects.jsonl` and, unless there are too many, its manifest; remove what is left of other preparations.

    Args:
        audit: of the source.
        results: of its units, in their order.
        request: its `source_request`.
        vocabulary, engine: what they were tokenised by.
        duplicates: of all sources.
        max_reject_share: `corpus.max_reject_share`.

    Raises:
        DataError: a file changed, too many rejects, or no document was left to train on. There is no manifest then, also none of before.
        InfrastructureError: they cannot be written.
    """
    directory = audit.directory
    _check_same_documents(audit, results)
    rejects = _list_rejects(audit, "unit", results)
    manifest = Manifest(
        name=audit.name,
        role=audit.role,
        request=request,
        dtype=vocabulary.dtype.name,
        tokenizer=vocabulary.fingerprint,
        separator_id=vocabulary.separator_id,
        train=[result.train for result in results if result.train],
        heldout=[result.heldout for result in results if result.heldout],
        num_read=audit.num_read,
        rejects=rejects.num_rows,
        dropped=sum(result.num_dropped for result in results),
        engine=engine,
        audit=_as_told(audit, duplicates),
    )
    num_trained = manifest.documents("train")
    assert num_trained + manifest.documents("heldout") + manifest.dropped + manifest.rejects == manifest.num_read
    _check(audit, rejects, num_read=manifest.num_read, num_trained=num_trained, max_share=max_reject_share)
    with writing_to(directory):
        keep_tokenizer(vocabulary, directory)
        write_manifest(manifest, directory)
        _remove_others(audit, results)
    return manifest


def keep_tokenizer(vocabulary: Vocabulary, directory: Path) -> Vocabulary:
    """Keep a tokenizer where its tokens are: tasks on other nodes read it there, and so does whoever decodes the shards.

    Args:
        vocabulary: the tokenizer.
        directory: which gets its tokenizer.json, unless it is there.

    Returns:
        The same tokenizer, its file that one.

    Raises:
        OSError: it cannot be written.
    """
    path = directory / "tokenizer.json"
    if not path.is_file() or hash_file(path) != vocabulary.fingerprint:
        write_whole(path, vocabulary.file.read_bytes())
    return replace(vocabulary, file=path)


def _as_told(audit: SourceAudit, duplicates: Sequence[DuplicateCount]) -> Audit:
    return Audit(
        evaluation_sets=list(audit.audits[0].evaluation_sets),
        overlaps=shorten(audit.overlaps),
        near_copies=shorten(audit.near_copies),
        duplicates=[count for count in duplicates if count.source == audit.name],
    )


def _list_rejects(audit: SourceAudit, found_by: FoundBy, results: Sequence[UnitAudit | UnitResult]) -> Rejects:
    """Write the source's list; what an earlier preparation rejected is replaced."""
    parts = [rejects_file(unit, found_by) for unit, result in zip(audit.units, results, strict=True) if result.rejects.size_bytes]
    with writing_to(audit.directory):
        join_files(parts, audit.directory / _REJECTS)
    return joined([result.rejects for result in results])


def _check(audit: SourceAudit, rejects: Rejects, *, num_read: int, num_trained: int, max_share: float) -> None:
    try:
        refuse_nothing_to_train(audit.name, num_trained, rejects)
        refuse_rejects(audit.name, rejects, num_read, max_share=max_share, listed=audit.directory / _REJECTS)
    except DataError:
        forget_manifest(audit.directory)
        raise


def _check_same_documents(audit: SourceAudit, results: Sequence[UnitResult]) -> None:
    for unit, audited, result in zip(audit.units, audit.audits, results, strict=True):
        if audited.num_read != result.num_read:
            forget_manifest(unit.directory)
            raise DataError(
                f"source {audit.name!r}: {unit.files[0].path} or a file after it changed in mid-preparation: the audit read "
                f"{audited.num_read:,} documents and rejects, tokenising {result.num_read:,}. Prepare again when nothing writes to it."
            )


def _remove_others(audit: SourceAudit, results: Sequence[UnitResult]) -> None:
    """Remove files of units that are no more, of splits that are empty now, and of tasks that were killed."""
    kept = {unit.result(kind, ".json").name for unit in audit.units for kind in ("unit", "audit")}
    for unit, audited, result in zip(audit.units, audit.audits, results, strict=True):
        kept |= {ids_file(unit, split).name for split in SPLITS if audited.num_documents[split]}
        rejects = {rejects_file(unit, "audit").name: audited.rejects, rejects_file(unit, "unit").name: result.rejects}
        kept |= {name for name, listed in rejects.items() if listed.size_bytes}
        kept |= {name for shard in result.shards for name in (*shard.files, shard.documents_file)}
    for path in audit.directory.iterdir():
        if _is_left_over(path.name, kept):
            path.unlink()


def _is_left_over(name: str, kept: Set[str]) -> bool:
    """Whether a file is of a unit that is no more. How a shard that is kept was packed is kept with it."""
    packed = _PACKED.fullmatch(name)
    of_kept = f"{packed[1]}.bin" in kept if packed else name in kept
    return not of_kept and bool(_OF_A_UNIT.fullmatch(name) or _PARTIAL.fullmatch(name))
