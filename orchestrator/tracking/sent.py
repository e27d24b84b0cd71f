"""What W&B has beside the lines, as far as is known: `RUN/wandb/sent_online.json`, and `sent_offline.json` for files of offline runs."""

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from orchestrator.runs.durable import write_whole


class Sent:
    """The keys of what was sent. It is written after W&B has taken it: what is torn off in between goes there twice rather than never.

    For an artifact or a table that is the same once more, as W&B knows them by their digest. An alert may reach people twice; one that
    never does leaves them waiting for a run that stands still.
    """

    def __init__(self, path: Path) -> None:
        """
        Args:
            path: the file; when it is missing or damaged, nothing was sent.
        """
        self._path, self._keys = path, set[str]()
        with suppress(OSError, ValueError, TypeError):
            self._keys = set(json.loads(path.read_bytes()))

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def add(self, keys: Iterable[str]) -> None:
        """Keep what was sent.

        Raises:
            OSError: it cannot be written.
        """
        if new := set(keys) - self._keys:
            self._keys |= new
            write_whole(self._path, json.dumps(sorted(self._keys), indent=0).encode() + b"\n")
