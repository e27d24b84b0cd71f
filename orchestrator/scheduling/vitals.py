"""What makes a rank's process observable from its first moment: its log, its beacon, its stacks on request, the signals it is sent."""

import faulthandler
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.fence import Token, newest_token
from orchestrator.scheduling.asked import note_signals
from orchestrator.scheduling.board import Beacon
from orchestrator.scheduling.gang import is_node_taken_away

_opened: list["Vitals"] = []


class Vitals:
    """Of this process.

    Attributes:
        token: of this attempt, to look at before anything is committed: `still_ours(run, token)`.
        beacon: tells where the rank is.
        superseded_by: the attempt that has taken the run over, once it was seen.
        is_drained: whether Ray takes away a node that ranks are on.
    """

    def __init__(self, rank: int, *, run: Path, token: Token, board: Any) -> None:
        """
        Args:
            rank: this rank.
            run: the run directory.
            token: of this attempt.
            board: the board's actor.
        """
        self._rank, self._run, self.token = rank, RunDirectory(run), token
        self.superseded_by: Token | None = None
        self.is_drained = False
        log = _log_to_file(self._run.logs(token.attempt), rank)
        faulthandler.register(signal.SIGQUIT, file=sys.stderr, all_threads=True)  # in C, so that no collective it waits in matters
        self.beacon = Beacon(board, rank, str(log), look=self._look)

    def _look(self) -> None:
        self.is_drained = is_node_taken_away()
        if self._rank == 0 and (newest := newest_token(self._run)) not in (self.token, None):
            self.superseded_by = newest


def open_vitals(rank: int, *, run: Path, token: Token, board: Any, signals: Sequence[str]) -> None:
    """Make this process observable. Call it in the main thread, before anything that can hang."""
    note_signals(signals)
    _opened.append(Vitals(rank, run=run, token=token, board=board))


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
