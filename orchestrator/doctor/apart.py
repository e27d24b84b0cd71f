"""The nodes, looked at by a process of its own: whatever becomes of it, there are findings, and nothing is left behind."""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from orchestrator.config.load import dump_config
from orchestrator.config.schema import Config
from orchestrator.doctor.findings import Finding, Report, finding
from orchestrator.runs.records import read_record
from orchestrator.scheduling.leftovers import sweep

ROOM_SECONDS = 60.0

_MORE_SECONDS = 900.0  # than ranks may take to start: for nodes that are waited for, and for the checks
_ENDING_SECONDS = 15.0
_LAST_CHARACTERS = 300


def check_nodes_apart(config: Config, *, room_seconds: float = ROOM_SECONDS, more_seconds: float = _MORE_SECONDS) -> list[Finding]:
    """Look at the nodes of the cluster that RAY_ADDRESS names, or at this machine as one.

    Args:
        config: of the run.
        room_seconds: how long nodes that are still to come are waited for.
        more_seconds: how much longer it may take than scheduling.deadlines.start before it is ended.
    """
    with tempfile.TemporaryDirectory(prefix="midtrain-doctor-") as name:
        folder = Path(name)
        (folder / "config.yaml").write_text(dump_config(config), encoding="utf-8")
        code = _run(folder, room_seconds, config.scheduling.deadlines.start + more_seconds)
        try:
            return read_record(folder / "report.json", Report).findings
        except (OSError, ValueError):
            return [_died(code, folder / "log")]


def _run(folder: Path, room_seconds: float, seconds: float) -> int:
    """Have the process do its work.

    Returns:
        Its exit code; below 0 the signal that killed it.
    """
    files = [str(folder / name) for name in ("config.yaml", "report.json")]
    command = [sys.executable, "-P", "-m", "orchestrator.doctor.nodes", *files, str(room_seconds)]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        try:
            with suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
        finally:
            _end(process)
            sweep()
    return process.returncode


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it, with time to take its cluster down."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_ENDING_SECONDS)


def _died(code: int, log: Path) -> Finding:
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    last = lines[-1][:_LAST_CHARACTERS] if lines else "nothing"
    remedy = "Ray ends it when its own processes die: see memory and disk of the node that it ran on."
    return finding("ranks", "all", "bad", f"the process that drives them {how}; its last words: {last}", limit="", remedy=remedy)
