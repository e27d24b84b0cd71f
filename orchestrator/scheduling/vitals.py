"""What makes a rank's process observable from its first moment: its log, its beacon, its stacks on request, the signals it is sent."""

import faulthandler
import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.fence import Token, newest_token
from orchestrator.scheduling.asked import note_signals
from orchestrator.scheduling.board import Beacon

_opened: list["Vitals"] = []


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """What every rank's process is given before anything in it can hang.

    Attributes:
        run: the run directory.
        token: of the attempt.
        board: the board's actor.
        signals: that ask ranks to stop, without SIG.
    """

    run: Path
    token: Token
    board: Any
    signals: Sequence[str]


class Vitals:
    """Of this process.

    Attributes:
        token: of this attempt, to look at before anything is committed: `still_ours(run, token)`.
        beacon: tells where the rank is.
        superseded_by: the attempt that has taken the run over, once it was seen.
    """

    def __init__(self, rank: int, observation: Observation) -> None:
        """
        Args:
            rank: this rank.
            observation: what it is given.
        """
        self._rank, self._run, self.token = rank, RunDirectory(observation.run), observation.token
        self.superseded_by: Token | None = None
        log = _log_to_file(self._run.logs(self.token.attempt), rank)
        faulthandler.register(signal.SIGQUIT, file=sys.stderr, all_threads=True)  # in C, so that no collective it waits in matters
        self.beacon = Beacon(observation.board, rank, str(log), look=self._look)

    def _look(self) -> None:
        if self._rank == 0 and (newest := newest_token(self._run)) not in (self.token, None):
            self.superseded_by = newest


def open_vitals(rank: int, observation: Observation) -> None:
    """Make this process observable. Call it in the main thread, before anything that can hang."""
    note_signals(observation.signals)
    _opened.append(Vitals(rank, observation))


def vitals() -> Vitals:
    """Those of this process."""
    return _opened[-1]


def _log_to_file(logs: Path, rank: int) -> Path:
    """Send all that this process prints, its libraries' C code included, to the rank's log."""
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{socket.gethostname()}-{rank}.log"
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(descriptor, stream.fileno())
    return log
