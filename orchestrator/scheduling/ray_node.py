"""A node of a Ray cluster, for as long as its standard input lasts: `ray start` in a short directory of its own, gone afterwards.

`python -m orchestrator.scheduling.ray_node --address HOST:PORT --num-cpus N --num-gpus N [--head]`. The token that keeps others out is in
the environment, as RAY_AUTH_TOKEN. A batch system sends its signals to every process of a step, and Ray's would take the ranks down before
they have saved: they are started with those signals blocked, ranks take them again (`asked.py`), and Ray is killed at the end.
"""

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from orchestrator.errors import DataError, InfrastructureError
from orchestrator.ray_variables import NODE_VARIABLES
from orchestrator.runs.attempts import CLUSTER, newest_cluster
from orchestrator.runs.directory import RunDirectory
from orchestrator.scheduling.leftovers import own_folder, sweep, users_of
from orchestrator.scheduling.processes import end_trees

_OBJECT_STORE_BYTES = 2 << 30
_SMALLEST_OBJECT_STORE_BYTES = 128 << 20
_LOOK_SECONDS = 0.2
_AGAIN_SECONDS = 5.0
_LEDGER_SECONDS = 20.0
_STEADY_SECONDS = 600.0  # what has been up for so long begins to count anew
_MOST_STARTS = 5
_PORTS = range(20_000, 32_000)  # below those that the system gives out, which one of Ray's servers could get before another uses its own
_SAID = "said"  # what `ray start` prints: of use only when it fails
_LAST_LINES = 15
_BLOCKED = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2]


def keep_node(command: Sequence[str], folder: Path, starts: int, over: threading.Event) -> int:
    """Keep a node in the cluster.

    Args:
        command: starts it, and ends when it is down.
        folder: that it lives in, and by which its processes are known.
        starts: how many times in a row at most. A worker that went down comes back as a new one; a cluster not without its head.
        over: ends it when it is set.

    Returns:
        0 when it was ended, else the exit code of the command.
    """
    code, again = 1, 0
    while again < starts:
        if again and over.wait(_AGAIN_SECONDS):
            return 0
        began = time.monotonic()
        with (folder / _SAID).open("wb") as said:
            process = subprocess.Popen(command, env=os.environ | NODE_VARIABLES, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        while (ended := process.poll()) is None and not over.wait(_LOOK_SECONDS):
            pass
        end_trees(users_of(folder))
        process.wait()
        if ended is None:
            return 0
        code, again = ended or 1, 1 if time.monotonic() > began + _STEADY_SECONDS else again + 1
        print(f"ray_node: Ray on {socket.gethostname()} went down with exit code {ended}, start {again} of {starts}:", flush=True)
        print("".join((folder / _SAID).read_text(errors="replace").splitlines(keepends=True)[-_LAST_LINES:]), flush=True)
    return code


def start_command(options: argparse.Namespace, folder: Path) -> list[str]:
    """The words of `ray start`. No port is fixed, so that jobs on one node do not clash; those not named are the system's to choose."""
    host, _, port = options.address.rpartition(":")
    own = (
        ["--head", f"--node-ip-address={own_address(host)}", f"--port={port}", "--include-dashboard=false", "--no-monitor"]
        if options.head
        else [f"--address={socket.gethostbyname(host)}:{port}"]
    )
    sizes = [f"--num-cpus={options.num_cpus}", f"--num-gpus={options.num_gpus}", f"--object-store-memory={_object_store_bytes()}"]
    # Neither scales anything nor copies logs to a driver that does not read them: two processes less a node.
    sizes += ["--include-log-monitor=false"]
    ports = ["--min-worker-port=0", "--max-worker-port=0", f"--dashboard-agent-listen-port={_free_port()}"]
    ports += [f"--ray-client-server-port={_free_port()}", "--disable-usage-stats"] if options.head else []
    return [str(Path(sys.executable).with_name("ray")), "start", "--block", f"--temp-dir={folder}", *own, *sizes, *ports]


def own_address(host: str) -> str:
    """The address of this machine that others reach it at; some have their own name for 127.0.1.1, which no other machine does."""
    found = socket.gethostbyname(host)
    if not found.startswith("127."):
        return found
    others = [one.address for several in psutil.net_if_addrs().values() for one in several if one.family == socket.AF_INET]
    return next((address for address in others if not address.startswith("127.")), found)


def wait_for_another_cluster(over: threading.Event) -> None:
    """End this node when the run goes on in another cluster: nobody may be left at the other end of standard input to say so."""
    run, cluster = os.environ.get("MIDTRAIN_RUN"), os.environ.get(CLUSTER)
    known = {None, cluster}
    if run and cluster:
        with suppress(OSError, DataError):
            known.add(newest_cluster(RunDirectory(Path(run))))  # of an attempt before this one
    while run and cluster and not over.wait(_LEDGER_SECONDS):
        with suppress(OSError, DataError):
            if newest_cluster(RunDirectory(Path(run))) not in known:
                over.set()


def _object_store_bytes() -> int:
    """Blocks of the feed are all that goes through it; a third of /dev/shm at most."""
    facts = os.statvfs("/dev/shm")
    return max(_SMALLEST_OBJECT_STORE_BYTES, min(_OBJECT_STORE_BYTES, facts.f_bavail * facts.f_frsize // 3))


def _free_port() -> int:
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            return port
    raise InfrastructureError(f"no port from {_PORTS.start} to {_PORTS.stop} is free on {socket.gethostname()}. See `ss -ltnp` there.")


def main() -> int:
    """Be a node until standard input ends, or Ray cannot be kept up."""
    parser = argparse.ArgumentParser(prog="ray_node")
    parser.add_argument("--address", required=True)
    parser.add_argument("--num-cpus", type=int, required=True)
    parser.add_argument("--num-gpus", type=int, required=True)
    parser.add_argument("--head", action="store_true")
    options = parser.parse_args()
    over = threading.Event()
    signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)

    def wait_for_the_end_of_input() -> None:
        while os.read(sys.stdin.fileno(), 1 << 12):
            pass
        over.set()

    threading.Thread(target=wait_for_the_end_of_input, daemon=True).start()
    threading.Thread(target=wait_for_another_cluster, args=(over,), daemon=True).start()
    sweep()
    with own_folder() as folder:
        return keep_node(start_command(options, folder), folder, 1 if options.head else _MOST_STARTS, over)


if __name__ == "__main__":
    sys.exit(main())
