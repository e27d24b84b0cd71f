"""`midtrain prepare`: sources into token shards. What is wrong with them is found before anything is tokenised."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.commands.auditing import audit_sources, refuse_unfit, search_duplicates
from orchestrator.commands.console import Console
from orchestrator.commands.steps import Step, Steps
from orchestrator.config.data import CorpusConfig, ShardsConfig, SourceConfig
from orchestrator.config.schema import Config
from orchestrator.corpus.duplicate_search import Repeated, parts_in_priority, repeated_by_unit
from orchestrator.corpus.source_audit import SourceAudit
from orchestrator.corpus.units import SPLITS, list_units, writing_to
from orchestrator.errors import ConfigError
from orchestrator.runs.locks import only_holder
from orchestrator.scheduling.tasks import RayPool
from orchestrator.shards.encoding import Rendering
from orchestrator.shards.engine_sample import EngineTask, choose_source_engine
from orchestrator.shards.engines import EngineName
from orchestrator.shards.manifest import Manifest
from orchestrator.shards.packed import finish_packing, pack_shard, plan_packing, read_packed
from orchestrator.shards.preparation import chat_template_of, finish_source, keep_tokenizer, source_request
from orchestrator.shards.tokenize import TokeniseTask, UnitResult, tokenise_unit
from orchestrator.shards.vocabulary import Vocabulary, check_fits, load_vocabulary

_CHOOSE, _TOKENISE, _PACK = Step("choosing engines", "sources"), Step("tokenising", "B"), Step("packing", "B")


def prepare(config: Config, console: Console) -> list[Manifest]:
    """Prepare every source. What is complete already is kept.

    Returns:
        Their manifests.

    Raises:
        OrchestratorError: files are missing or unfit to train on, the tokenizer does not fit the model, or shards cannot be written.
    """
    vocabulary = load_vocabulary(config.model.path, config.shards.document_separator)
    check_fits(vocabulary, config.model.path)
    renderings = {
        name: Rendering(masked_prefix=source.masked_prefix, chat=chat_template_of(source, config.model.path))
        for name, source in config.sources.items()
    }
    with _alone(Path(config.shards.dir)), RayPool() as pool:
        steps = Steps(pool, console)
        manifests = prepare_sources(config.sources, config.corpus, config.shards, vocabulary=vocabulary, renderings=renderings, steps=steps)
        if config.shards.packing == "best_fit":
            pack_sources(Path(config.shards.dir), manifests, config.training.sequence_length, steps)
    return manifests


@contextmanager
def _alone(shards_dir: Path) -> Iterator[None]:
    """Two at once would take each other's half-written files for leftovers."""
    lock = shards_dir / ".lock"
    with writing_to(shards_dir):
        lock.touch()
    busy = ConfigError(f"another `midtrain prepare` is at work in shards.dir={shards_dir}. Wait for it, or choose another directory.")
    with only_holder(lock, busy):
        yield


def prepare_sources(
    sources: Mapping[str, SourceConfig],
    corpus: CorpusConfig,
    shards: ShardsConfig,
    *,
    vocabulary: Vocabulary,
    renderings: Mapping[str, Rendering],
    steps: Steps,
) -> list[Manifest]:
    """Prepare sources: list, audit, decide, and only then tokenise.

    Args:
        sources, corpus, shards: as configured.
        vocabulary: the tokenizer.
        renderings: source -> what its documents become before they are encoded.
        steps: what does the work.

    Raises:
        OrchestratorError: files are missing or unfit to train on, or shards cannot be written.
    """
    with writing_to(home := Path(shards.dir)):
        vocabulary = keep_tokenizer(vocabulary, home)
    units = {name: list_units(name, source, directory=home / name, unit_bytes=shards.shard_bytes) for name, source in sources.items()}
    audits = audit_sources(sources, units, corpus.evaluation_sets, steps)
    refuse_unfit(audits, corpus)
    parts = parts_in_priority(audits)
    search = search_duplicates(parts, home, steps)
    choices = steps.do(_CHOOSE, choose_source_engine, [EngineTask(name, units[name], vocabulary) for name in sources])
    dropped = repeated_by_unit(parts, search) if corpus.duplicates == "remove" else {}
    tasks = [
        _tasks(audit, choice.name, dropped, _Settings(vocabulary, renderings[audit.name], corpus.max_document_tokens))
        for audit, choice in zip(audits, choices, strict=True)
    ]
    return [
        finish_source(
            audit,
            results,
            request=source_request(audit.name, sources, corpus, renderings[audit.name].chat),
            vocabulary=vocabulary,
            engine=choice,
            duplicates=search.counts,
            max_reject_share=corpus.max_reject_share,
        )
        for audit, choice, results in zip(audits, choices, _tokenise(tasks, steps), strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Settings:
    """What all units of a source are tokenised by."""

    vocabulary: Vocabulary
    rendering: Rendering
    max_document_tokens: int | None


def _tasks(audit: SourceAudit, engine: EngineName, dropped: Mapping[tuple[str, int], Repeated], settings: _Settings) -> list[TokeniseTask]:
    return [
        TokeniseTask(
            unit=unit,
            max_document_tokens=settings.max_document_tokens,
            rendering=settings.rendering,
            vocabulary=settings.vocabulary,
            engine=engine,
            dropped=dropped.get((audit.name, unit.index), {}),
        )
        for unit in audit.units
    ]


def _tokenise(tasks: Sequence[Sequence[TokeniseTask]], steps: Steps) -> list[list[UnitResult]]:
    """Tokenise the units of all sources."""
    results = iter(steps.do(_TOKENISE, tokenise_unit, [task for of_source in tasks for task in of_source]))
    return [[next(results) for _ in of_source] for of_source in tasks]


def pack_sources(shards_dir: Path, manifests: Sequence[Manifest], sequence_length: int, steps: Steps) -> None:
    """Pack the sources that are not packed for a sequence length, and tell what was cut.

    Raises:
        OrchestratorError: a shard is missing or damaged, or an index cannot be written.
    """
    tasks = {manifest.name: plan_packing(shards_dir / manifest.name, manifest, sequence_length) for manifest in manifests}
    packed = iter(steps.do(_PACK, pack_shard, [task for own in tasks.values() for task in own]))
    for manifest in manifests:
        if own := tasks[manifest.name]:
            finish_packing(manifest, own, [next(packed) for _ in own])
        _tell_packing(shards_dir / manifest.name, manifest, sequence_length, steps)


def _tell_packing(directory: Path, manifest: Manifest, sequence_length: int, steps: Steps) -> None:
    packed = read_packed(directory, manifest, sequence_length)
    for split in SPLITS:
        if shards := packed.shards(split):
            sequences, cut = sum(shard.sequences for shard in shards), sum(shard.cut_documents for shard in shards)
            used = manifest.tokens(split) / (sequences * (sequence_length + 1))
            steps.console.note(
                f"source {manifest.name!r}, {split}: {sequences:,} sequences, {used:.2%} full; {cut:,} of {manifest.documents(split):,} "
                f"documents are longer than a sequence of training.sequence_length={sequence_length} and were cut"
            )
