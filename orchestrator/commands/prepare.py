"""`midtrain prepare`: sources into token shards. What is wrong with them is found before anything is tokenised."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.commands.auditing import audit_sources, refuse_unfit, search_duplicates
from orchestrator.commands.console import Console
from orchestrator.commands.steps import Step, Steps
from orchestrator.config.schema import Config, CorpusConfig, ShardsConfig, SourceConfig
from orchestrator.corpus.duplicate_search import Repeated, parts_in_priority, repeated_by_unit
from orchestrator.corpus.source_audit import SourceAudit
from orchestrator.corpus.units import list_units
from orchestrator.scheduling.tasks import RayPool
from orchestrator.shards.engine_sample import EngineTask, choose_source_engine
from orchestrator.shards.engines import EngineName
from orchestrator.shards.manifest import Manifest
from orchestrator.shards.preparation import finish_source, source_request
from orchestrator.shards.tokenize import TokeniseTask, UnitResult, tokenise_unit
from orchestrator.shards.vocabulary import Vocabulary, check_fits, load_vocabulary

_CHOOSE, _TOKENISE = Step("choosing engines", "sources"), Step("tokenising", "B")


def prepare(config: Config, console: Console) -> list[Manifest]:
    """Prepare every source. What is complete already is kept.

    Returns:
        Their manifests.

    Raises:
        OrchestratorError: files are missing or unfit to train on, the tokenizer does not fit the model, or shards cannot be written.
    """
    vocabulary = load_vocabulary(config.model.path, config.shards.document_separator)
    check_fits(vocabulary, config.model.path)
    with RayPool() as pool:
        return prepare_sources(config.sources, config.corpus, config.shards, vocabulary=vocabulary, steps=Steps(pool, console))


def prepare_sources(
    sources: Mapping[str, SourceConfig], corpus: CorpusConfig, shards: ShardsConfig, *, vocabulary: Vocabulary, steps: Steps
) -> list[Manifest]:
    """Prepare sources: list, audit, decide, and only then tokenise.

    Args:
        sources, corpus, shards: as configured.
        vocabulary: the tokenizer.
        steps: what does the work.

    Raises:
        OrchestratorError: files are missing or unfit to train on, or shards cannot be written.
    """
    home = Path(shards.dir)
    units = {name: list_units(name, source, directory=home / name, unit_bytes=shards.shard_bytes) for name, source in sources.items()}
    audits = audit_sources(sources, units, corpus.evaluation_sets, steps)
    refuse_unfit(audits, corpus)
    parts = parts_in_priority(audits)
    search = search_duplicates(parts, home, steps)
    choices = steps.do(_CHOOSE, choose_source_engine, [EngineTask(name, units[name], vocabulary) for name in sources])
    dropped = repeated_by_unit(parts, search) if corpus.duplicates == "remove" else {}
    tasks = [
        _tasks(audit, choice.name, dropped, vocabulary=vocabulary, most_tokens=corpus.max_document_tokens)
        for audit, choice in zip(audits, choices, strict=True)
    ]
    return [
        finish_source(
            audit,
            results,
            request=source_request(audit.name, sources, corpus),
            vocabulary=vocabulary,
            engine=choice,
            duplicates=search.counts,
            max_reject_share=corpus.max_reject_share,
        )
        for audit, choice, results in zip(audits, choices, _tokenise(tasks, steps), strict=True)
    ]


def _tasks(
    audit: SourceAudit, engine: EngineName, dropped: Mapping[tuple[str, int], Repeated], *, vocabulary: Vocabulary, most_tokens: int | None
) -> list[TokeniseTask]:
    return [
        TokeniseTask(
            unit=unit,
            max_document_tokens=most_tokens,
            vocabulary=vocabulary,
            engine=engine,
            dropped=dropped.get((audit.name, unit.index), {}),
        )
        for unit in audit.units
    ]


def _tokenise(tasks: Sequence[Sequence[TokeniseTask]], steps: Steps) -> list[list[UnitResult]]:
    """Tokenise the units of all sources."""
    results = iter(steps.do(_TOKENISE, tokenise_unit, [task for of_source in tasks for task in of_source]))
    return [[next(results) for _ in of_source] for of_source in tasks]
