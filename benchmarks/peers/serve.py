"""The process that a peer is measured in."""

import dataclasses
import os
import platform
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import answers, tasks
from benchmarks.peers.port import Mix, Peer
from benchmarks.rows import SOURCES, read_rows


def main(peer: Peer) -> None:
    """Answer what is asked of a peer. Every request names `data`, the folder of the tokens, below which the peer keeps its own format."""
    offered = {"describe": _describe, "convert": _convert, "throughput": _throughput, "ids": _ids, "save": _save, "resume": _resume}
    answers.serve({name: lambda request, task=task: task(peer, request) for name, task in offered.items()})


def _describe(peer: Peer, request: dict[str, Any]) -> dict[str, Any]:
    versions = {module: version(module) for module in peer.modules}
    return {"configuration": peer.configuration, "versions": versions | {"python": platform.python_version()}}


def _convert(peer: Peer, request: dict[str, Any]) -> None:
    folder, tokens = Path(request["data"], peer.name), Path(request["data"], "tokens")
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        peer.convert({source: read_rows(tokens / source) for source in SOURCES}, partial)
        partial.rename(folder)
    for path in folder.rglob("*"):
        if path.is_file():
            _read_anew(path)


def _read_anew(path: Path) -> None:
    """Into the page cache in the same way for everyone: what was just written may lie there in huge pages, what is read does not."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while file.read(1 << 20):
            pass


def _throughput(peer: Peer, request: dict[str, Any]) -> float:
    return tasks.throughput(peer, *_place(peer, request), request["seconds"])


def _ids(peer: Peer, request: dict[str, Any]) -> list[list[int]]:
    return tasks.ids(peer, *_place(peer, request), request["steps"])


def _save(peer: Peer, request: dict[str, Any]) -> dict[str, Any]:
    return dataclasses.asdict(tasks.save(peer, *_place(peer, request), Path(request["state"]), request["more_steps"]))


def _resume(peer: Peer, request: dict[str, Any]) -> dict[str, Any]:
    return dataclasses.asdict(tasks.resume(peer, *_place(peer, request), Path(request["state"]), request["more_steps"]))


def _place(peer: Peer, request: dict[str, Any]) -> tuple[Path, Mix]:
    return Path(request["data"], peer.name), Mix(**request["mix"])
