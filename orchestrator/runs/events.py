"""`events.jsonl`: what happened to a run besides its steps and attempts: saves made and failed, checkpoints set aside, updates skipped."""

import time
from typing import Any

from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import append_line


def append_event(run: RunDirectory, attempt: int, event: str, **values: Any) -> None:
    """Enter an event and put it on disk. Any thread of any process may.

    Args:
        run: its directory.
        attempt: during which it happened.
        event: what.
        values: of JSON's types; `message` is shown to whoever watches.
    """
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    append_line(run.events, {"time": stamp, "attempt": attempt, "event": event, **values})
