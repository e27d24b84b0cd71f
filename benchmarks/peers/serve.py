"""The process that a peer is measured in: a request in JSON a line, an answer in JSON a line."""

import argparse
import dataclasses
import json
import os
import platform
import sys
import traceback
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import tasks
from benchmarks.peers.port import Mix, Peer
from benchmarks.rows import SOURCES, read_rows


def main(peer: Peer) -> None:
    """Answer requests from standard input until it ends, or the one that the command line makes."""
    parser = argparse.ArgumentParser(description=peer.configuration)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the tokens; the peer's own format is kept below it")
    parser.add_argument("--task", choices=[*TASKS], help="do this one, and end")
    parser.add_argument("--request", type=json.loads, default={}, help="the task's parameters, as JSON")
    arguments = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    lines = [json.dumps(arguments.request | {"task": arguments.task})] if arguments.task else sys.stdin
    for line in lines:
        print(json.dumps(_answer(peer, arguments.data, json.loads(line))), file=answers, flush=True)


def _answer(peer: Peer, data: Path, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"result": TASKS[request.pop("task")](peer, data, request)}
    except Exception as error:
        traceback.print_exc()
        said = str(error).strip().splitlines()
        return {"error": f"{type(error).__name__}: {said[0] if said else 'no message'}"}


def _folder(peer: Peer, data: Path) -> Path:
    return data / peer.name


def _describe(peer: Peer, data: Path, request: dict[str, Any]) -> dict[str, Any]:
    versions = {module: version(module) for module in peer.modules}
    return {"configuration": peer.configuration, "versions": versions | {"python": platform.python_version()}}


def _convert(peer: Peer, data: Path, request: dict[str, Any]) -> None:
    folder = _folder(peer, data)
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.partial")
        partial.mkdir()
        peer.convert({source: read_rows(data / "tokens" / source) for source in SOURCES}, partial)
        partial.rename(folder)


def _throughput(peer: Peer, data: Path, request: dict[str, Any]) -> float:
    return tasks.throughput(peer, _folder(peer, data), Mix(**request["mix"]), request["seconds"])


def _ids(peer: Peer, data: Path, request: dict[str, Any]) -> list[list[int]]:
    return tasks.ids(peer, _folder(peer, data), Mix(**request["mix"]), request["steps"])


def _save(peer: Peer, data: Path, request: dict[str, Any]) -> dict[str, Any]:
    saved = tasks.save(peer, _folder(peer, data), Mix(**request["mix"]), Path(request["state"]), request["more_steps"])
    return dataclasses.asdict(saved)


def _resume(peer: Peer, data: Path, request: dict[str, Any]) -> dict[str, Any]:
    resumed = tasks.resume(peer, _folder(peer, data), Mix(**request["mix"]), Path(request["state"]), request["more_steps"])
    return dataclasses.asdict(resumed)


TASKS = {"describe": _describe, "convert": _convert, "throughput": _throughput, "ids": _ids, "save": _save, "resume": _resume}
