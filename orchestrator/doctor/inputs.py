"""What a run reads before it trains: the model, without its weights being loaded, the prepared sources, and the probes."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orchestrator.config.schema import Config
from orchestrator.config.training import ModelConfig
from orchestrator.doctor.findings import Finding, Verdict, finding
from orchestrator.errors import OrchestratorError
from orchestrator.evaluation.probe_sequences import open_probes
from orchestrator.shards.manifest import Manifest, read_manifest
from orchestrator.shards.vocabulary import check_fits, load_vocabulary

_HUB_SECONDS = 5.0
_SINGLE_FILES = ("model.safetensors", "pytorch_model.bin")
_INDEX_FILES = tuple(f"{name}.index.json" for name in _SINGLE_FILES)


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """Where a model's weights are.

    Attributes:
        missing: files that they should be in and that are not there.
        size_bytes: of those that are.
        is_elsewhere: on the hub, and not on this machine.
    """

    size_bytes: int = 0
    missing: tuple[str, ...] = ()
    is_elsewhere: bool = False


def refusal(check: str, where: str, error: OrchestratorError) -> Finding:
    """An error of ours as a finding: its first sentence says what is wrong, the others what to do."""
    value, _, remedy = str(error).partition(". ")
    return finding(check, where, "bad", value, limit="", remedy=remedy)


def check_model(model: ModelConfig, separator: str | None, where: str) -> list[Finding]:
    """Whether the tokenizer and the model can be had, and fit each other.

    Args:
        model: of the configuration.
        separator: `shards.document_separator`.
        where: the name of this machine.
    """
    try:
        vocabulary = load_vocabulary(model.path, separator)
        check_fits(vocabulary, model.path)
    except OrchestratorError as error:
        return [refusal("model", where, error)]
    read = Finding(check="model", where=where, verdict="good", value=f"{model.path}: a tokenizer of {vocabulary.num_tokens:,} tokens")
    return [read] if model.initialise == "scratch" else [read, judge_weights(find_weights(model.path), model.path, where)]


def find_weights(model_path: str) -> Weights | str:
    """Look for a model's weights here, then on the hub.

    Returns:
        Where they are, or why that cannot be told.
    """
    folder = Path(model_path)
    is_local = folder.is_dir()
    found = _weights_among(lambda name: folder / name if is_local else _cached(model_path, name))
    return found if is_local or found.size_bytes else _on_the_hub(model_path)


def judge_weights(weights: Weights | str, model_path: str, where: str) -> Finding:
    """Whether ranks will find them without waiting."""
    verdict: Verdict = "bad"
    if isinstance(weights, str):
        value, remedy = weights, f"Fetch it where there is a network, to where all nodes see it: hf download {model_path}"
    elif weights.missing:
        value = f"{model_path} lacks {', '.join(weights.missing[:3])}{' …' if len(weights.missing) > 3 else ''}"
        remedy = "Restore the files from where the model came from, or set model.initialise=scratch to start without weights."
    elif weights.is_elsewhere:
        verdict, value = "warning", f"{weights.size_bytes / 2**30:,.2f} GiB on the hub, none of it here"
        remedy = f"Each node would fetch it while its GPUs wait. Fetch it first: hf download {model_path}"
    else:
        verdict, value, remedy = "good", f"{weights.size_bytes / 2**30:,.2f} GiB on this machine's disks", ""
    return finding("model weights", where, verdict, value, limit="all files here", remedy=remedy)


def _weights_among(path_of: Callable[[str], Path | None]) -> Weights:
    """In one file or in those that an index names."""
    for name in _SINGLE_FILES:
        if (path := path_of(name)) and path.is_file():
            return Weights(size_bytes=path.stat().st_size)
    for name in _INDEX_FILES:
        if (path := path_of(name)) and path.is_file():
            names = sorted(set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values()))
            paths = {each: path_of(each) for each in names}
            there = [each for each in paths.values() if each and each.is_file()]
            missing = [each for each, where in paths.items() if where not in there]
            return Weights(size_bytes=sum(each.stat().st_size for each in there), missing=tuple(missing))
    return Weights(missing=_SINGLE_FILES[:1])


def _cached(model_path: str, name: str) -> Path | None:
    """A file in the hub's cache on this machine."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(model_path, name)
    return Path(found) if isinstance(found, str) else None


def _on_the_hub(model_path: str) -> Weights | str:
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        return f"the weights of {model_path} are not in this machine's cache, and HF_HUB_OFFLINE forbids to fetch them"
    try:
        siblings = HfApi().model_info(model_path, files_metadata=True, timeout=_HUB_SECONDS).siblings or []
    except Exception as error:  # as many kinds as there are ways to have no network
        return f"the weights of {model_path} are not in this machine's cache, and the hub does not answer: {type(error).__name__}"
    sizes = {file.rfilename: file.size or 0 for file in siblings if Path(file.rfilename).suffix in (".safetensors", ".bin")}
    return Weights(size_bytes=sum(sizes.values()), missing=() if sizes else _SINGLE_FILES[:1], is_elsewhere=True)


def check_sources(shards: Path, names: Iterable[str], where: str) -> Iterator[Finding]:
    """Whether the prepared shards of each source are to be had, as long as they should be.

    Args:
        shards: the directory with a folder a source.
        names: of the sources.
        where: the name of this machine.
    """
    for name in names:
        try:
            manifest = read_manifest(shards / name, name)
        except OrchestratorError as error:
            yield refusal(f"source {name!r}", where, error)
            continue
        yield _judge_shards(manifest, shards / name, where)


def _judge_shards(manifest: Manifest, directory: Path, where: str) -> Finding:
    shards = [*manifest.train, *manifest.heldout]
    token_bytes = np.dtype(manifest.dtype).itemsize
    broken = [shard.file for shard in shards if not shard.is_written(directory, token_bytes)]
    tokens = manifest.tokens("train") + manifest.tokens("heldout")
    return finding(
        f"source {manifest.name!r}",
        where,
        "bad" if broken else "good",
        f"{len(broken)} of {len(shards)} shards are missing or cut short, as {directory / broken[0]}"
        if broken
        else f"{len(shards)} shards, {tokens:,} tokens",
        limit="all shards as long as the manifest says",
        remedy="Run `midtrain prepare` again; whole shards are kept. On a node: see that it mounts shards.dir.",
    )


def check_probes(config: Config, where: str) -> Iterator[Finding]:
    """Whether every line of each probe is an item; one that is cut loses the beginning of its prompt.

    Args:
        config: of the run. Without its tokenizer nothing is said here: what is wrong with that is another finding.
        where: the name of this machine.
    """
    if not config.evaluation.probes:
        return
    try:
        vocabulary = load_vocabulary(config.model.path, config.shards.document_separator)
    except OrchestratorError:
        return
    length = config.training.sequence_length
    for name, paths in config.evaluation.probes.items():
        try:
            (probe,) = open_probes({name: paths}, vocabulary, length)
        except OrchestratorError as error:
            yield refusal(f"probe {name!r}", where, error)
            continue
        cut = f", {probe.num_cut:,} of the items cut on the left" if probe.num_cut else ""
        yield finding(
            f"probe {name!r}",
            where,
            "warning" if probe.num_cut else "good",
            f"items: {len(probe.answers):,}, choices: {len(probe.sequences):,}{cut}",
            limit=f"training.sequence_length={length}",
            remedy="Shorten their prompts or raise training.sequence_length, or take it as it is: the choices are whole.",
        )
