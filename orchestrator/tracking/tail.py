"""The new lines of a file that another process writes, and now and then rewrites shorter."""

import json
import os
from pathlib import Path
from typing import Any, BinaryIO


class Tail:
    """A file of JSON lines as it grows. When a rewind puts another in its place, that is read from its beginning."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None  # kept open, so that no other file can get its inode
        self._torn = b""

    def read(self) -> list[dict[str, Any]]:
        """The complete lines since the last call; none when there is no file."""
        if self._file is None or not self._is_current(self._file):
            self.close()
            if not self._path.exists():
                return []
            self._file, self._torn = self._path.open("rb"), b""
        *complete, self._torn = (self._torn + self._file.read()).split(b"\n")
        return [json.loads(line) for line in complete]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _is_current(self, file: BinaryIO) -> bool:
        return self._path.exists() and os.path.samestat(os.fstat(file.fileno()), self._path.stat())
