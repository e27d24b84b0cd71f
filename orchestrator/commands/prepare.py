"""`midtrain prepare`: sources into token shards."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from orchestrator.commands.console import Console
from orchestrator.config.schema import Config
from orchestrator.scheduling.cluster import ray_cluster
from orchestrator.scheduling.tasks import run_tasks
from orchestrator.shards.manifest import Manifest, UnitResult, read_unit_result
from orchestrator.shards.packed import PackedSource, finish_packing, pack_shard, plan_packing, read_packed
from orchestrator.shards.preparation import chat_template_of, finish_source, plan_source
from orchestrator.shards.tokenize import UnitTask, run_unit
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
    chats = {name: chat_template_of(source, config.model.path) for name, source in config.sources.items()}
    works = [
        plan_source(name, source, config.shards, vocabulary, corpus=config.corpus, chat=chats[name])
        for name, source in config.sources.items()
    ]
    results = _tokenise([task for work in works for task in work.tasks], console)
    manifests = []
    for work in works:
        own, results = results[: len(work.tasks)], results[len(work.tasks) :]
        manifests.append(finish_source(work, own, vocabulary))
        _tell_rejects(work.name, own, console)
    if config.shards.packing == "best_fit":
        _pack(Path(config.shards.dir), manifests, config.training.sequence_length, console)
    return manifests


def _tokenise(tasks: list[UnitTask], console: Console) -> list[UnitResult]:
    """Run the units that have no result yet."""
    done = {index: result for index, task in enumerate(tasks) if (result := read_unit_result(task.marker, task.request))}
    fresh = iter(_run("tokenising", run_unit, [task for index, task in enumerate(tasks) if index not in done], console))
    return [done[index] if index in done else next(fresh) for index in range(len(tasks))]


def _pack(shards_dir: Path, manifests: list[Manifest], sequence_length: int, console: Console) -> None:
    """Pack the sources that are not packed for this length, and tell what was cut."""
    tasks = {manifest.name: plan_packing(shards_dir / manifest.name, manifest, sequence_length) for manifest in manifests}
    fresh = iter(_run("packing", pack_shard, [task for own in tasks.values() for task in own], console))
    for manifest in manifests:
        directory = shards_dir / manifest.name
        if own := tasks[manifest.name]:
            finish_packing(directory, manifest, sequence_length, [next(fresh) for _ in own])
        _tell_packing(manifest, read_packed(directory, manifest, sequence_length), console)


def _run(doing: str, run: Callable[[Any], Any], tasks: Sequence[Any], console: Console) -> list[Any]:
    """Run tasks with Ray; without any, no cluster is started."""
    if not tasks:
        return []
    with console.progress(doing, sum(task.size_bytes for task in tasks), "B") as advance, ray_cluster(num_cpus=1):
        return run_tasks(run, tasks, on_done=lambda task: advance(task.size_bytes))


def _tell_packing(manifest: Manifest, packed: PackedSource, console: Console) -> None:
    for split in ("train", "heldout"):
        if shards := packed.shards(split):
            sequences, cut = sum(shard.sequences for shard in shards), sum(shard.cut_documents for shard in shards)
            used = manifest.tokens(split) / (sequences * (packed.sequence_length + 1))
            console.note(
                f"source {manifest.name!r}, {split}: {sequences:,} sequences, {used:.2%} full; {cut:,} of {manifest.documents(split):,} "
                f"documents are longer than a sequence of training.sequence_length={packed.sequence_length} and were cut"
            )


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
            "untrained_tokens": manifest.untrained_tokens("train"),
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
