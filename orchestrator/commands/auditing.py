"""The audit of all sources: spec sources first, then the others, which are compared with them; and what is refused afterwards."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from orchestrator.commands.steps import Step, Steps
from orchestrator.config.data import CorpusConfig, SourceConfig
from orchestrator.corpus.audit import Watch
from orchestrator.corpus.duplicate_search import (
    Part,
    Search,
    buckets,
    conclude,
    part_files,
    read_search,
    search_bucket,
    search_request,
    write_search,
)
from orchestrator.corpus.overlap import OverlapIndex
from orchestrator.corpus.source_audit import SourceAudit, refuse_overlaps, refuse_same_content, write_found
from orchestrator.corpus.unit_audit import AuditTask, UnitAudit, audit_unit
from orchestrator.corpus.units import Unit
from orchestrator.corpus.watch import index_evaluation_files, index_spec_units, list_evaluation_sets, watch_fingerprint
from orchestrator.errors import DataError
from orchestrator.shards.manifest import forget_manifest
from orchestrator.shards.preparation import check_audit

_AUDIT, _SEARCH = Step("auditing", "B"), Step("searching duplicates", "buckets")
UnitsBySource = Mapping[str, Sequence[Unit]]


def audit_sources(
    sources: Mapping[str, SourceConfig], units: UnitsBySource, evaluation_sets: Mapping[str, Sequence[str]], steps: Steps
) -> list[SourceAudit]:
    """Audit all units that are not audited yet.

    Args:
        sources: as configured.
        units: of each source.
        evaluation_sets: as configured.
        steps: what does the work.

    Returns:
        An audit a source, in their order.

    Raises:
        OrchestratorError: a file cannot be read, or a result cannot be written.
    """
    files = list_evaluation_sets(evaluation_sets)
    spec, general = ({name: units[name] for name in sources if (sources[name].role == "spec") == is_spec} for is_spec in (True, False))

    @cache
    def evaluation() -> OverlapIndex:
        return index_evaluation_files(files)

    def against_spec() -> Watch:
        if spec:
            steps.console.note(f"reading spec documents, to look for near copies of them: {', '.join(spec)}")
        return Watch(evaluation(), index_spec_units(spec))

    found = _audit(spec, watch_fingerprint(files, {}), lambda: Watch(evaluation(), index_spec_units({})), steps)
    documents = {name: [audit.documents for audit in found[name]] for name in spec}
    found |= _audit(general, watch_fingerprint(files, documents), against_spec, steps)
    return [SourceAudit(name, source.role, units[name], found[name]) for name, source in sources.items()]


def _audit(units: UnitsBySource, fingerprint: str, watch: Callable[[], Watch], steps: Steps) -> dict[str, list[UnitAudit]]:
    tasks = [AuditTask(unit, fingerprint) for of_source in units.values() for unit in of_source]
    results = iter(steps.do(_AUDIT, audit_unit, tasks, shared=lambda: [watch()]))
    return {name: [next(results) for _ in of_source] for name, of_source in units.items()}


def refuse_unfit(audits: Sequence[SourceAudit], corpus: CorpusConfig) -> None:
    """Refuse sources that must not be tokenised as they are; no manifest is left then, also none of an earlier preparation.

    Raises:
        DataError: too many rejects, nothing to train on, one source under two names, or overlap with an evaluation set.
    """
    try:
        for audit in audits:
            write_found(audit)
            check_audit(audit, corpus.max_reject_share)
        refuse_same_content(audits)
        refuse_overlaps(audits, corpus.allowed_overlap)
    except DataError:
        for audit in audits:
            forget_manifest(audit.directory)
        raise


def search_duplicates(parts: Sequence[Part], home: Path, steps: Steps) -> Search:
    """Search the ids of all parts for repeats, unless the same parts were searched before.

    Args:
        parts: in order of priority.
        home: `shards.dir`, where the result is kept.
        steps: what does the work.

    Raises:
        OrchestratorError: ids cannot be read, or the result cannot be written.
    """
    if kept := read_search(home, search_request(parts)):
        return kept
    search = conclude(parts, steps.do(_SEARCH, search_bucket, buckets(parts), shared=lambda: [part_files(parts)]))
    write_search(home, search)
    return search
