"""The synthetic tokens on disk: written once for each size, kept below `.bench/`."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from benchmarks.rows import SOURCES, Sizes, write_source


def write_tokens(root: Path, sizes: Sizes, seed: int) -> Path:
    """Write both sources, unless they are there.

    Args:
        root: where data of all sizes lie.
        sizes: of the sources.
        seed: of the random ids.

    Returns:
        The folder of these sizes; the tokens are in its `tokens/<source>`, and peers keep their own formats beside.
    """
    folder = root / f"{sizes.spec}-{sizes.general}-{seed}"
    done = folder / "sizes.json"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        for source in SOURCES:
            write_source(folder / "tokens" / source, source, sizes.of(source), seed)
        done.write_text(json.dumps(asdict(sizes)))
    return folder
