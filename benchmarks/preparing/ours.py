"""`midtrain prepare`, the whole command: Python, imports and Ray start and end in the time."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.preparing.port import Job, Timed, main, timed


def overrides(job: Job, out: Path, files: Sequence[Path]) -> list[str]:
    """One source, a unit of work a file."""
    return [
        "run.name=bench",
        f"model.path={job.model}",
        f"shards.dir={out}",
        f"shards.document_separator='{job.separator}'",
        "shards.shard_bytes=1",
        "mixture.total_tokens=1000000",
        "mixture.spec_share=0",
        f"sources.text={{role:general,paths:[{','.join(map(str, files))}]}}",
    ]


def tokenise(job: Job) -> Timed:
    """The command as users call it."""
    command = [sys.executable, "-c", "from orchestrator.cli import main; main()", "prepare", "--json", *overrides(job, job.out, [job.text])]
    seconds, done = timed(lambda: subprocess.run(command, capture_output=True, text=True, env=os.environ | {"RAY_ADDRESS": "local"}))
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return seconds, sum(source["tokens"] + source["heldout_tokens"] for source in json.loads(done.stdout)["sources"])


if __name__ == "__main__":
    main(tokenise)
