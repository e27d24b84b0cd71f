"""Files of JSON lines, as a reader finds them while they are written."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file, in order; none when there is no file. A last line that a killed writer left unfinished is not one."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            yield json.loads(line)
