"""What a pod does before it is stopped: it has the run's processes in it save and leave, and waits until they are gone.

`python -m orchestrator.scheduling.leave`, as the preStop hook of a pod: Kubernetes stops Ray only when it has returned, or when the
grace period is over. The head's pod asks the run's command to stop. Another pod is drained, as Ray calls it: the ranks save, and go on
where they find another node. When all pods are to go, the run stops; it has saved in either case.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from orchestrator.scheduling.processes import send

_LOOK_SECONDS = 0.2
_DRAIN_SECONDS = 20.0
_RUN = "MIDTRAIN_RUN"
_RANK = "ray::RankProcess"  # how Ray calls a rank's process
_NODE_ID, _ADDRESS = "--node_id=", "--gcs-address="  # what Ray starts the server of a node with


def processes_of_the_run() -> Iterator[tuple[psutil.Process, Sequence[str]]]:
    """Of the run that MIDTRAIN_RUN names, as far as this process can see: its ranks, its commands, and Ray's servers; with their words."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(_RUN) == os.environ[_RUN] and process.status() != psutil.STATUS_ZOMBIE:
                yield process, process.cmdline()


def leave() -> None:
    """Ask, and wait: for as long as the caller lets it."""
    asked: set[psutil.Process] = set()
    is_drained = False
    while there := {process: words for process, words in processes_of_the_run() if _is_rank(words) or _is_command(words)}:
        if not asked:
            is_drained = not any(map(_is_command, there.values())) and drain()
        for process in set(there) - asked:
            if not is_drained:
                send(process, signal.SIGINT)  # of all signals, the one that is always heeded
        asked |= set(there)
        time.sleep(_LOOK_SECONDS)


def drain() -> bool:
    """Tell Ray that this node is taken away.

    Returns:
        Whether it has heard that.
    """
    for _, words in processes_of_the_run():
        node, address = _value(words, _NODE_ID), _value(words, _ADDRESS)
        if node and address:
            return _drain(node, address)
    return False


def _drain(node: str, address: str) -> bool:
    command = [str(Path(sys.executable).with_name("ray")), "drain-node", f"--address={address}", f"--node-id={node}"]
    why = ["--reason=DRAIN_NODE_REASON_PREEMPTION", "--reason-message=its pod is to be stopped"]
    with suppress(subprocess.TimeoutExpired):
        return subprocess.run([*command, *why], timeout=_DRAIN_SECONDS, stdin=subprocess.DEVNULL, check=False).returncode == 0
    return False


def _is_rank(words: Sequence[str]) -> bool:
    return bool(words) and words[0].startswith(_RANK)


def _is_command(words: Sequence[str]) -> bool:
    return words[-1:] == ["job"] and any(word.endswith("/midtrain") for word in words)


def _value(words: Sequence[str], option: str) -> str:
    return next((word.removeprefix(option) for word in words if word.startswith(option)), "")


if __name__ == "__main__":
    leave()
