"""`metrics.jsonl`, a line a logged step; `heldout.jsonl`, the losses of held-out sequences; and `probes.jsonl`, the answers to probes. None
has a step twice after a rewind."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.runs.durable import write_whole
from orchestrator.runs.lines import read_lines


class MetricsFile:
    """A file of JSON lines with a `step` each, appended to by one process."""

    def __init__(self, path: Path, from_step: int) -> None:
        """
        Args:
            path: the file; made when it is missing.
            from_step: the step that the attempt begins from. Later lines are of steps that will be made again, and go.
        """
        kept = [line for line in read_lines(path) if line["step"] <= from_step and not (from_step == 0 and line["step"] == 0)]
        write_whole(path, "".join(json.dumps(line) + "\n" for line in kept).encode())
        self._file = path.open("a", encoding="utf-8")

    def write(self, record: Mapping[str, Any]) -> None:
        """Append a line and put it on disk."""
        self._file.write(json.dumps(record, allow_nan=False) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()
