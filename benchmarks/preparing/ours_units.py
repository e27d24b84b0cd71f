"""What `midtrain prepare` does once Ray and its workers run: the units of the sources, then the manifest."""

import dataclasses
from pathlib import Path

from benchmarks.preparing.port import Job, Timed, main, timed
from orchestrator.config.schema import ShardsConfig, SourceConfig
from orchestrator.scheduling.cluster import ray_cluster
from orchestrator.scheduling.tasks import run_units
from orchestrator.shards.manifest import Manifest
from orchestrator.shards.preparation import finish_source, plan_source
from orchestrator.shards.vocabulary import load_vocabulary


def tokenise(job: Job) -> Timed:
    """The workers have done the same once before, elsewhere, so that none starts in the time."""
    with ray_cluster(num_cpus=job.cores):
        _prepare(job, job.out / "before")
        seconds, manifest = timed(lambda: _prepare(job, job.out / "timed"))
    return seconds, manifest.tokens("train")


def _prepare(job: Job, out: Path) -> Manifest:
    vocabulary = load_vocabulary(str(job.model), job.separator)
    shards = ShardsConfig(dir=str(out), document_separator=job.separator, shard_bytes=1)
    work = plan_source("text", SourceConfig(role="general", paths=(str(job.text),)), shards, vocabulary)
    if out.name == "before":
        work = dataclasses.replace(work, tasks=work.tasks[: job.cores])
    return finish_source(work, run_units(work.tasks, on_done=lambda task, result: None), vocabulary)


if __name__ == "__main__":
    main(tokenise)
