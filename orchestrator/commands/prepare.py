"""`midtrain prepare`: sources into token shards."""

from typing import Any

from orchestrator.commands.console import Console
from orchestrator.config.schema import Config
from orchestrator.scheduling.cluster import ray_cluster
from orchestrator.scheduling.tasks import run_units
from orchestrator.shards.manifest import Manifest, UnitResult, read_unit_result
from orchestrator.shards.preparation import finish_source, plan_source
from orchestrator.shards.tokenize import UnitTask
from orchestrator.shards.vocabulary import check_fits, load_vocabulary


def prepare(config: Config, console: Console) -> list[Manifest]:
    """Prepare every source. What is complete already is kept.

    Returns:
        Their manifests.

    Raises:
        OrchestratorError: files are missing or empty, the tokenizer does not fit the model, or shards cannot be written.
    """
    vocabulary = load_vocabulary(config.model.path, config.shards.document_separator)
    check_fits(vocabulary, config.model.path)
    works = [plan_source(name, source, config.shards, vocabulary, corpus=config.corpus) for name, source in config.sources.items()]
    tasks = [task for work in works for task in work.tasks]
    results = _run(tasks, console)
    manifests = []
    for work in works:
        own, results = results[: len(work.tasks)], results[len(work.tasks) :]
        manifests.append(finish_source(work, own, vocabulary))
        _tell_rejects(work.name, own, console)
    return manifests


def _run(tasks: list[UnitTask], console: Console) -> list[UnitResult]:
    """Run the units that have no result yet; without any, no cluster is started."""
    done = {index: result for index, task in enumerate(tasks) if (result := read_unit_result(task.marker, task.request))}
    left = [task for index, task in enumerate(tasks) if index not in done]
    if left:
        with console.progress("tokenising", sum(task.size_bytes for task in left), "B") as advance, ray_cluster(num_cpus=1):
            fresh = iter(run_units(left, on_done=lambda task, _: advance(task.size_bytes)))
    return [done[index] if index in done else next(fresh) for index in range(len(tasks))]


def _tell_rejects(name: str, results: list[UnitResult], console: Console) -> None:
    rejects = [reject for result in results for reject in result.rejects]
    if rejects:
        console.warn(f"source {name!r}: {len(rejects)} rejected, the first of them:")
        for reject in rejects[:3]:
            console.warn(f"  {reject.origin}: {reject.reason}")


def manifest_rows(manifests: list[Manifest]) -> list[dict[str, Any]]:
    """What was prepared, a row a source, for scripts."""
    return [
        {
            "name": manifest.name,
            "role": manifest.role,
            "documents": manifest.documents("train"),
            "tokens": manifest.tokens("train"),
            "heldout_documents": manifest.documents("heldout"),
            "heldout_tokens": manifest.tokens("heldout"),
            "rejects": manifest.rejects,
            "fingerprint": manifest.fingerprint,
        }
        for manifest in manifests
    ]


def show_manifests(manifests: list[Manifest], console: Console) -> None:
    """What was prepared, as a table."""
    columns = ["source", "role", "documents", "tokens", "held-out documents", "held-out tokens", "rejected"]
    keys = ["name", "role", "documents", "tokens", "heldout_documents", "heldout_tokens", "rejects"]
    rows = [[f"{row[key]:,}" if isinstance(row[key], int) else row[key] for key in keys] for row in manifest_rows(manifests)]
    console.table("prepared sources", columns, rows)
