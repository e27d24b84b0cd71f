"""Runs and checkpoints of made-up bytes, and a second home that notes what is written to it."""

import json
import random
from collections.abc import Iterable
from pathlib import Path

import xxhash

from orchestrator.checkpoints.retention import SCIENCE
from orchestrator.checkpoints.store import COMMIT, MANIFEST, Checkpoint, open_checkpoint, step_directory
from orchestrator.config.load import dump_config, load_config
from orchestrator.runs.directory import RunDirectory, create_run
from orchestrator.runs.durable import hash_file, write_whole
from orchestrator.runs.events import append_event
from orchestrator.second_home.home import SecondHome
from tests.support.tiny import overrides

RUN_ID = "0123456789abcdef"


def make_run(folder: Path, *, run_id: str = RUN_ID, **changes: object) -> RunDirectory:
    """A run that has begun: config, plan, ledger, records. `changes` are to the configuration, with __ for a dot."""
    config = load_config(overrides(folder, **{key.replace("__", "."): value for key, value in changes.items()}))
    assert config.run.dir is not None
    run = create_run(Path(config.run.dir), config=dump_config(config), write_plan=lambda path: write_whole(path, b'{"a": "plan"}\n'))
    write_whole(run.wandb_id, f"{run_id}\n".encode())
    run.metrics.write_text('{"step": 0}\n{"step": 1, "loss": 2.5}\n{"step": 2, "lo')
    run.attempts.write_text('{"event": "start", "attempt": 1}\n')
    (run.amendments / "1").mkdir(parents=True)
    (run.amendments / "1" / "plan.json").write_text('{"an": "older plan"}\n')
    return run


def save(run: RunDirectory, step: int, *, kind: str = SCIENCE, sizes: Iterable[int] = (3000, 0, 70_000), seed: int = 0) -> Checkpoint:
    """A committed checkpoint of files of random bytes."""
    directory, pick = step_directory(run.checkpoints, step), random.Random(step + 1000 * seed)
    (directory / "state").mkdir(parents=True)
    files = []
    for number, size in enumerate(sizes):
        path = directory / "state" / f"rank_{number:05d}.safetensors"
        path.write_bytes(pick.randbytes(size))
        files.append({"path": f"state/{path.name}", "size_bytes": size, "xxhash": hash_file(path)})
    run_id = run.wandb_id.read_text().strip()
    commit(directory, {"step": step, "kind": kind, "wandb_id": run_id, "seed": seed, "files": files})
    append_event(run, 1, "saved", step=step)
    return open_checkpoint(directory)


def commit(directory: Path, manifest: dict[str, object]) -> None:
    """Write the two files that make a checkpoint of a directory."""
    content = json.dumps(manifest).encode()
    write_whole(directory / MANIFEST, content)
    write_whole(directory / COMMIT, json.dumps({"step": manifest["step"], "manifest": xxhash.xxh3_128_hexdigest(content)}).encode())


def content(directory: Path) -> dict[str, bytes]:
    """Every file of a checkpoint."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


class Noting(SecondHome):
    """A second home that notes the order of writes and deletes."""

    def __init__(self, url: str) -> None:
        super().__init__(url, answer_seconds=30)
        self.done: list[str] = []

    def write(self, path: str, blocks: Iterable[bytes], size_bytes: int) -> None:
        super().write(path, blocks, size_bytes)
        self.done.append(path)

    def delete(self, path: str) -> None:
        super().delete(path)
        self.done.append(f"-{path}")


def copied(url: str, name: str) -> dict[str, bytes]:
    """Every file of a checkpoint at a second home."""
    home = Noting(url)
    return {path.removeprefix(f"{name}/"): home.read(path) for path in home.files() if path.startswith(f"{name}/")}
