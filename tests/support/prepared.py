"""Prepared shards and run directories in process: no Ray, no subprocess."""

from pathlib import Path

from orchestrator.commands.planning import plan_run
from orchestrator.config.load import dump_config, load_config
from orchestrator.config.schema import Config, CorpusConfig, ShardsConfig, SourceConfig
from orchestrator.mixture.plan import write_plan
from orchestrator.runs.directory import RunDirectory, create_run
from orchestrator.shards.manifest import Manifest
from orchestrator.shards.packed import finish_packing, pack_shard, plan_packing
from orchestrator.shards.preparation import chat_template_of, finish_source, plan_source
from orchestrator.shards.tokenize import run_unit
from orchestrator.shards.vocabulary import Vocabulary, load_vocabulary
from tests.support.tiny import overrides, write_everything

AS_SHIPPED = CorpusConfig(max_reject_share=0.001, max_document_tokens=None)


def prepare_source(
    name: str, source: SourceConfig, shards: ShardsConfig, vocabulary: Vocabulary, *, corpus: CorpusConfig = AS_SHIPPED
) -> Manifest:
    """One source, its units one after the other."""
    chat = chat_template_of(source, str(vocabulary.file.parent))
    work = plan_source(name, source, shards, vocabulary, corpus=corpus, chat=chat)
    return finish_source(work, [run_unit(task) for task in work.tasks], vocabulary)


def pack_source(config: Config, manifest: Manifest) -> None:
    """Pack one source, its shards one after the other."""
    directory, length = Path(config.shards.dir) / manifest.name, config.training.sequence_length
    finish_packing(directory, manifest, length, [pack_shard(task) for task in plan_packing(directory, manifest, length)])


def prepare_sources(config: Config) -> dict[str, Manifest]:
    """Every source of a configuration."""
    vocabulary = load_vocabulary(config.model.path, config.shards.document_separator)
    manifests = {
        name: prepare_source(name, source, config.shards, vocabulary, corpus=config.corpus) for name, source in config.sources.items()
    }
    if config.shards.packing == "best_fit":
        for manifest in manifests.values():
            pack_source(config, manifest)
    return manifests


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
