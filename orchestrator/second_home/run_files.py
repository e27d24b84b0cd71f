"""What a run is beside its checkpoints: configuration, plan, amendments, ledger and records, in one file that goes with each checkpoint."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import xxhash

from orchestrator.checkpoints.store import DamagedError
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.durable import write_whole

RUN_FILES = "run.zip"
_PATTERNS = ("*.yaml", "*.json", "*.jsonl", "*.npz", "wandb_id", "amendments/*/*", "launch/submissions.jsonl", "launch/*/settings.yaml")


def pack(run: RunDirectory) -> bytes:
    """The files as they are now, of files of lines the whole lines, as a ZIP archive; before it stands a line with its xxh3-128."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for pattern in _PATTERNS for path in run.root.glob(pattern)):
            content = path.read_bytes()
            whole = content[: content.rfind(b"\n") + 1] if path.suffix == ".jsonl" else content
            archive.writestr(path.relative_to(run.root).as_posix(), whole)
    return xxhash.xxh3_128_hexdigest(packed.getvalue()).encode() + b"\n" + packed.getvalue()


def unpack(packed: bytes, place: str) -> dict[str, bytes]:
    """What `pack` has packed: the content of each file by its path.

    Args:
        packed: its bytes.
        place: where they are from, for messages.

    Raises:
        DamagedError: they are not what was packed.
    """
    digest, _, archived = packed.partition(b"\n")
    if xxhash.xxh3_128_hexdigest(archived).encode() != digest:
        raise DamagedError(f"{place} is damaged: its bytes are not those that were written")
    with zipfile.ZipFile(io.BytesIO(archived)) as archive:
        return {safe_path(name, place): archive.read(name) for name in archive.namelist()}


def place_files(files: Mapping[str, bytes], root: Path) -> None:
    """Write files below a directory, each whole or not at all."""
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        write_whole(root / path, content)


def safe_path(path: str, place: str) -> str:
    """A path that came from elsewhere, if it stays below where it is put.

    Raises:
        DamagedError: it does not.
    """
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise DamagedError(f"{place} is damaged: it names {path}, which is outside")
    return path
