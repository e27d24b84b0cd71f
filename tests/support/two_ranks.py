"""A function on two real gloo ranks, each a process of its own."""

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
import importlib, json, sys
from pathlib import Path
module, function, argument, output = sys.argv[1:]
result = getattr(importlib.import_module(module), function)(json.loads(argument))
Path(output).write_text(json.dumps(result))
"""


def on_two_ranks(function: Callable[[Any], Any], argument: Any, timeout_seconds: float = 280) -> list[Any]:
    """Run a module's function on two ranks that share a process group.

    Args:
        function: importable by its module and name.
        argument: of JSON's types, as is the result.
        timeout_seconds: after which both are ended and the test fails.

    Returns:
        What it returned on each rank.
    """
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        ranks = [_start(function, argument, Path(folder), rank, port) for rank in range(2)]
        try:
            codes = [rank.wait(timeout_seconds) for rank in ranks]
        finally:
            for rank in ranks:
                rank.kill()
                rank.wait()
        logs = [(Path(folder) / f"{rank}.log").read_text() for rank in range(2)]
        assert codes == [0, 0], "\n".join(logs)
        return [json.loads((Path(folder) / f"{rank}.json").read_text()) for rank in range(2)]


def _start(function: Callable[[Any], Any], argument: Any, folder: Path, rank: int, port: int) -> subprocess.Popen[bytes]:
    environment = os.environ | {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "DS_ACCELERATOR": "cpu",
        "OMP_NUM_THREADS": "1",
    }
    words = [sys.executable, "-c", _MAIN, function.__module__, function.__name__, json.dumps(argument), str(folder / f"{rank}.json")]
    log = (folder / f"{rank}.log").open("wb")
    return subprocess.Popen(words, env=environment, stdout=log, stderr=subprocess.STDOUT)
