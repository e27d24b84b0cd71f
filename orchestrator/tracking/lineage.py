"""What a run was made of and what it made: corpora, base model and checkpoints, by where they are. No content of theirs is read or sent."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xxhash

from orchestrator.checkpoints.retention import INSURANCE
from orchestrator.checkpoints.store import COMMIT, Checkpoint, open_checkpoint
from orchestrator.config.schema import Config
from orchestrator.mixture.plan import Plan

_NO_NAME = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """Something by where it is.

    Attributes:
        kind: `corpus`, `model` or `checkpoint`, an artifact's type in W&B.
        name: an artifact's in W&B. What has the same kind, name and digest is one version of it there, whichever runs tell of it.
        uri: where it is.
        digest: of what it holds.
        aliases: of this version, beside `latest`.
        is_input: whether the run was made of it; else it made it.
        metadata: shown with it.
    """

    kind: str
    name: str
    uri: str
    digest: str
    aliases: Sequence[str]
    is_input: bool
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What tells it from all others that a run has."""
        return f"{self.name}@{self.digest}"


def inputs_of(config: Config, plan: Plan) -> Iterator[Reference]:
    """What a run is made of: the prepared corpus of each source, the base model, and the checkpoint that it starts from if there is one."""
    for source in plan.sources:
        yield Reference(
            kind="corpus",
            name=f"corpus-{source.name}",
            uri=(Path(config.shards.dir) / source.name).absolute().as_uri(),
            digest=source.fingerprint,
            aliases=[source.fingerprint],
            is_input=True,
            metadata={
                "source": source.name,
                "role": source.role,
                "fingerprint": source.fingerprint,
                "tokens": source.trained_tokens,
                "packing": config.shards.packing,
            },
        )
    yield _model(config.model.path)
    if config.model.start_from is not None:
        start = open_checkpoint(Path(config.model.start_from))
        yield checkpoint_reference(start, wandb_id=start.manifest["wandb_id"], second_home=None, is_input=True)


def checkpoint_reference(checkpoint: Checkpoint, *, wandb_id: str, second_home: str | None, is_input: bool = False) -> Reference:
    """A checkpoint.

    Args:
        checkpoint: committed.
        wandb_id: of the run that made it, in W&B.
        second_home: of that run; the reference is then to the copy there.
        is_input: whether it is what another run starts from.
    """
    manifest, directory = checkpoint.manifest, checkpoint.directory
    return Reference(
        kind="checkpoint",
        name=f"checkpoint-{wandb_id}",
        uri=f"{second_home}/{directory.name}" if second_home else directory.absolute().as_uri(),
        digest=json.loads((directory / COMMIT).read_bytes())["manifest"],
        aliases=[f"step-{checkpoint.step}"],
        is_input=is_input,
        metadata={"step": checkpoint.step, "tokens": sum(manifest["tokens"]), "world_size": manifest["world_size"]},
    )


def is_kept(checkpoint: Checkpoint) -> bool:
    """Whether it is kept for ever; an insurance save goes when two newer ones are there, and is not worth a word to W&B."""
    return checkpoint.manifest.get("kind") != INSURANCE


def _model(path: str) -> Reference:
    """The base model; what is no directory and no absolute path, which existing directories have in a configuration, is of the hub."""
    directory = Path(path)
    digest = xxhash.xxh3_128_hexdigest(_listing(directory) if directory.is_dir() else path.encode())
    return Reference(
        kind="model",
        name=f"model-{_NO_NAME.sub('-', directory.name if directory.is_absolute() else path)}",
        uri=directory.as_uri() if directory.is_absolute() else f"hf://{path}",
        digest=digest,
        aliases=[digest],
        is_input=True,
        metadata={"path" if directory.is_absolute() else "hub_name": path},
    )


def _listing(directory: Path) -> bytes:
    """The names and sizes of a directory's files, and its configuration: enough to tell models apart, and quick for any size of weights."""
    files = sorted((path.name, path.stat().st_size) for path in directory.iterdir() if path.is_file())
    config = directory / "config.json"
    return json.dumps(files).encode() + (config.read_bytes() if config.is_file() else b"")
