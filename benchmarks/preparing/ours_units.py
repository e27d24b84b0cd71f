"""What `midtrain prepare` does once Ray and its workers run: audit, engines, tokens, manifest."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.preparing.ours import overrides
from benchmarks.preparing.port import Job, Timed, main, timed
from orchestrator.commands.console import Console
from orchestrator.commands.prepare import prepare_sources
from orchestrator.commands.steps import Steps
from orchestrator.config.load import load_config
from orchestrator.scheduling.tasks import RayPool
from orchestrator.shards.encoding import Rendering
from orchestrator.shards.manifest import Manifest
from orchestrator.shards.vocabulary import load_vocabulary


def tokenise(job: Job) -> Timed:
    """The workers have done the same with some files before, elsewhere, so that none starts in the time."""
    files = sorted(job.text.glob("*.zst"))
    with RayPool() as pool:
        steps = Steps(pool, Console())
        _prepare(job, job.out / "before", files[: job.cores], steps)
        seconds, manifest = timed(lambda: _prepare(job, job.out / "timed", files, steps))
    return seconds, manifest.tokens("train") + manifest.tokens("heldout")


def _prepare(job: Job, out: Path, files: Sequence[Path], steps: Steps) -> Manifest:
    config = load_config(overrides(job, out, files))
    vocabulary = load_vocabulary(config.model.path, config.shards.document_separator)
    (manifest,) = prepare_sources(
        config.sources, config.corpus, config.shards, vocabulary=vocabulary, renderings={"text": Rendering()}, steps=steps
    )
    return manifest


if __name__ == "__main__":
    main(tokenise)
