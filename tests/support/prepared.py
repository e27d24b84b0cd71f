"""Prepared shards and run directories in process: no Ray, no subprocess."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.commands import prepare
from orchestrator.commands.console import Console
from orchestrator.commands.planning import plan_run
from orchestrator.commands.steps import Steps
from orchestrator.config.data import CorpusConfig, ShardsConfig, SourceConfig
from orchestrator.config.load import dump_config, load_config
from orchestrator.config.schema import Config
from orchestrator.corpus.units import Unit, list_units
from orchestrator.mixture.plan_file import write_plan
from orchestrator.runs.directory import RunDirectory, create_run
from orchestrator.scheduling.tasks import AnyTask, Pool, Result
from orchestrator.shards.encoding import Rendering
from orchestrator.shards.engines import EngineChoice, EngineName
from orchestrator.shards.manifest import Audit, Manifest, Shard
from orchestrator.shards.packed import finish_packing, pack_shard, plan_packing
from orchestrator.shards.preparation import chat_template_of
from orchestrator.shards.tokenize import TokeniseTask
from orchestrator.shards.vocabulary import Vocabulary, load_vocabulary
from tests.support.tiny import overrides, write_everything

AS_SHIPPED = CorpusConfig(max_reject_share=0.001, max_document_tokens=None, duplicates="report", evaluation_sets={}, allowed_overlap=())


class InProcess:
    """A pool that runs its tasks here, one after the other."""

    def run(
        self, function: Callable[..., Result], tasks: Sequence[AnyTask], shared: Sequence[Any], on_done: Callable[[AnyTask], None]
    ) -> list[Result]:
        results = []
        for task in tasks:
            results.append(function(task, *shared))
            on_done(task)
        return results


def prepare_together(
    sources: Mapping[str, SourceConfig], shards: ShardsConfig, vocabulary: Vocabulary, *, corpus: CorpusConfig, pool: Pool
) -> dict[str, Manifest]:
    """Several sources, as `midtrain prepare` does it."""
    model = str(vocabulary.file.parent)
    renderings = {
        name: Rendering(masked_prefix=source.masked_prefix, chat=chat_template_of(source, model)) for name, source in sources.items()
    }
    manifests = prepare.prepare_sources(sources, corpus, shards, vocabulary=vocabulary, renderings=renderings, steps=Steps(pool, Console()))
    return {manifest.name: manifest for manifest in manifests}


def prepare_source(
    name: str, source: SourceConfig, shards: ShardsConfig, vocabulary: Vocabulary, *, corpus: CorpusConfig = AS_SHIPPED
) -> Manifest:
    """One source."""
    return prepare_together({name: source}, shards, vocabulary, corpus=corpus, pool=InProcess())[name]


def pack_source(config: Config, manifest: Manifest) -> None:
    """Pack one source, its shards one after the other."""
    directory, length = Path(config.shards.dir) / manifest.name, config.training.sequence_length
    tasks = plan_packing(directory, manifest, length)
    finish_packing(manifest, tasks, [pack_shard(task) for task in tasks])


def prepare_sources(config: Config, pool: Pool | None = None) -> dict[str, Manifest]:
    """Every source of a configuration."""
    vocabulary = load_vocabulary(config.model.path, config.shards.document_separator)
    manifests = prepare_together(config.sources, config.shards, vocabulary, corpus=config.corpus, pool=pool or InProcess())
    if config.shards.packing == "best_fit":
        for manifest in manifests.values():
            pack_source(config, manifest)
    return manifests


def units_of(source: SourceConfig, shards: ShardsConfig) -> list[Unit]:
    """The units of a source that is called `code`."""
    return list_units("code", source, directory=Path(shards.dir) / "code", unit_bytes=shards.shard_bytes)


def task_of(unit: Unit, vocabulary: Vocabulary, engine: EngineName = "tokenizers", most_tokens: int | None = None) -> TokeniseTask:
    """What makes the shards of a unit."""
    return TokeniseTask(unit=unit, max_document_tokens=most_tokens, rendering=Rendering(), vocabulary=vocabulary, engine=engine)


def manifest_of(train: Sequence[Shard], heldout: Sequence[Shard] = (), dtype: str = "uint16") -> Manifest:
    """A manifest of shards that nobody tokenised."""
    num_documents = sum(shard.documents for shard in [*train, *heldout])
    return Manifest(
        name="code",
        role="general",
        request="",
        dtype=dtype,
        tokenizer="ab" * 16,
        separator_id=7,
        train=list(train),
        heldout=list(heldout),
        num_read=num_documents + 1,
        rejects=1,
        dropped=0,
        engine=EngineChoice(name="tokenizers", sampled_documents=0, sampled_bytes=0, reason="none was asked for"),
        audit=Audit(),
    )


def write_prepared(folder: Path, **changes: object) -> Config:
    """Model, corpora and shards below a folder, and the configuration of a run on them."""
    config = load_config(overrides(write_everything(folder), **changes))
    prepare_sources(config)
    return config


def make_run(config: Config) -> RunDirectory:
    """The directory of a run that was planned and never started."""
    assert config.run.dir is not None
    plan = plan_run(config)
    return create_run(Path(config.run.dir), config=dump_config(config), write_plan=lambda path: write_plan(plan, path))
