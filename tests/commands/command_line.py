"""The `midtrain` command in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = "from orchestrator.cli import main; main()"


def midtrain(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, without a terminal and without a network."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "COLUMNS": "80"}
    return subprocess.run([sys.executable, "-c", PROGRAM, *words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=60)
