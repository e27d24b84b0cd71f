"""A Ray cluster that several runs share, from the side of the command that runs them: a process of its own keeps it, and is started anew
when it has died. Where RAY_ADDRESS names a cluster, that one is shared."""

import json
import os
import secrets
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import InfrastructureError

SHARED = "MIDTRAIN_SHARED_CLUSTER"  # its address, for processes that may take its variables for granted

_START_SECONDS = 120.0
_END_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """What a process of the cluster's is started with.

    Attributes:
        environment: its variables.
        descriptors: what it holds open, so that the cluster outlives it.
    """

    environment: Mapping[str, str]
    descriptors: tuple[int, ...] = ()


class SharedCluster:
    """One that is there from `open` to `close`. Threads may ask it at the same time."""

    def __init__(self, *, gpus_per_rank: int, log: Path) -> None:
        """
        Args:
            gpus_per_rank: of the runs.
            log: where what it prints goes.
        """
        self._gpus_per_rank, self._log = gpus_per_rank, log
        self._lock = threading.Lock()
        self._keeper: subprocess.Popen[bytes] | None = None
        self._is_own = False  # kept by a keeper, that is, and not the one that RAY_ADDRESS names
        self._end = -1  # of the pipe by which the keeper is known to be wanted
        self._place = Place(environment=os.environ)
        self.ranks = 0

    def open(self) -> None:
        """Start it, or look at the one that is there; `ranks` tells how many it has room for.

        Raises:
            InfrastructureError: there is none, and none can be started.
        """
        with self._lock:
            self._start()

    def place(self) -> Place:
        """What a process is to be started with that is to connect to it.

        Raises:
            InfrastructureError: it has died, and cannot be started anew.
        """
        with self._lock:
            if self._is_own and (self._end < 0 or self._keeper is None or self._keeper.poll() is not None):
                self._start()
            return self._place

    def close(self) -> None:
        """Let go of it. It ends when the last process that was started with it has."""
        with self._lock:
            self._let_go()
            if self._keeper is not None:
                try:
                    self._keeper.wait(_END_SECONDS)
                except subprocess.TimeoutExpired:
                    self._keeper.kill()
                    self._keeper.wait()

    def _start(self) -> None:
        self._let_go()
        self._is_own = os.environ.get("RAY_ADDRESS", "local") == "local"
        token = own_token() | {"RAY_AUTH_MODE": os.environ.get("RAY_AUTH_MODE", "token")} if self._is_own else {}
        reading, self._end = os.pipe()
        answer, writing = os.pipe()
        command = [sys.executable, "-P", "-m", "orchestrator.scheduling.shared_cluster", str(writing), str(self._gpus_per_rank)]
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._keeper = subprocess.Popen(
                command, stdin=reading, stdout=log, stderr=log, env=os.environ | token, pass_fds=[writing], start_new_session=True
            )
        os.close(reading)
        os.close(writing)
        said = self._heard(answer)
        self.ranks = said["ranks"]
        if not self._is_own:
            self._let_go()
            self._place = Place(environment=os.environ)
            return
        environment = os.environ | token | {"RAY_ADDRESS": said["address"], SHARED: said["address"]}
        self._place = Place(environment=environment, descriptors=(self._end,))

    def _heard(self, answer: int) -> dict[str, Any]:
        deadline, said = time.monotonic() + _START_SECONDS, b""
        with os.fdopen(answer, "rb", buffering=0) as pipe:
            while not said.endswith(b"\n") and time.monotonic() < deadline:
                if select.select([pipe], [], [], 0.2)[0]:
                    chunk = pipe.read(1 << 16)
                    if not chunk:
                        break
                    said += chunk
        if not said.endswith(b"\n"):
            self._let_go()
            raise InfrastructureError(f"no Ray cluster could be started or found. See {self._log}; unset RAY_ADDRESS to start one here.")
        heard: dict[str, Any] = json.loads(said)
        if "error" in heard:
            self._let_go()
            raise InfrastructureError(heard["error"])
        return heard

    def _let_go(self) -> None:
        if self._end >= 0:
            os.close(self._end)
            self._end = -1


def own_token() -> dict[str, str]:
    """A token for a cluster of our own, known to this process and its children, so that nobody else on the machine can run code in it."""
    if "RAY_AUTH_TOKEN_PATH" in os.environ or Path("~/.ray/auth_token").expanduser().exists():
        return {}
    return {"RAY_AUTH_TOKEN": os.environ.get("RAY_AUTH_TOKEN") or secrets.token_hex(32)}
