"""A function on real gloo ranks, each a process of its own."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

_MAIN = """
import importlib, json, os, sys
from pathlib import Path
module, function, argument, output = sys.argv[1:]
result = getattr(importlib.import_module(module), function)(json.loads(argument))
Path(output).write_text(json.dumps(result))
os._exit(0)  # as a rank under Ray ends: threads of gloo and DeepSpeed that live on can abort the end of the interpreter
"""


def on_ranks(function: Callable[[Any], Any], argument: Any, *, world_size: int = 2, timeout_seconds: float = 280) -> list[Any]:
    """Run a module's function on ranks that share a process group.

    Args:
        function: importable by its module and name.
        argument: of JSON's types, as is the result.
        world_size: how many.
        timeout_seconds: after which all are ended and the test fails.

    Returns:
        What it returned on each rank.
    """
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        ranks = [_start(function, argument, Path(folder), (rank, world_size), port) for rank in range(world_size)]
        try:
            codes = [rank.wait(timeout_seconds) for rank in ranks]
        finally:
            for rank in ranks:
                rank.kill()
                rank.wait()
        logs = [(Path(folder) / f"{rank}.log").read_text() for rank in range(world_size)]
        assert codes == [0] * world_size, "\n".join(logs)
        return [json.loads((Path(folder) / f"{rank}.json").read_text()) for rank in range(world_size)]


def _start(function: Callable[[Any], Any], argument: Any, folder: Path, rank_of: tuple[int, int], port: int) -> subprocess.Popen[bytes]:
    rank, world_size = rank_of
    environment = os.environ | {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world_size),
        "LOCAL_WORLD_SIZE": str(world_size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "DS_ACCELERATOR": "cpu",
        "OMP_NUM_THREADS": "1",
    }
    words = [sys.executable, "-c", _MAIN, function.__module__, function.__name__, json.dumps(argument), str(folder / f"{rank}.json")]
    log = (folder / f"{rank}.log").open("wb")
    return subprocess.Popen(words, env=environment, stdout=log, stderr=subprocess.STDOUT)
