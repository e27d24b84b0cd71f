"""`events.jsonl`: what happened to a run besides its steps and attempts: saves made and failed, checkpoints set aside, updates skipped."""

import json
import os
import time
from typing import Any

from orchestrator.runs.directory import RunDirectory


def append_event(run: RunDirectory, attempt: int, event: str, **values: Any) -> None:
    """Enter an event and put it on disk. Any thread of any process may; a line is one write.

    Args:
        run: its directory.
        attempt: during which it happened.
        event: what.
        values: of JSON's types; `message` is shown to whoever watches.
    """
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = json.dumps({"time": stamp, "attempt": attempt, "event": event, **values}) + "\n"
    descriptor = os.open(run.events, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
