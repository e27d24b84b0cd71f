"""dolma tokens, its command called in this process."""

import csv
import gzip
import json
from pathlib import Path

from dolma.cli.main import main as dolma

from benchmarks.preparing.port import Job, Timed, main, timed


def tokenise(job: Job) -> Timed:
    """To memory-mapped uint16 files, documents read from as many files at a time as it does by default."""
    tokenizer = job.out / "tokenizer.json"
    _write_older(job.tokenizer, tokenizer)
    command = ["tokens", "--documents", f"{job.text}/*.jsonl.zst", "--destination", str(job.out / "tokens")]
    command += ["--tokenizer.name_or_path", str(tokenizer), "--tokenizer.eos_token_id", str(job.separator_id)]
    command += ["--processes", str(job.cores), "--dtype", "uint16"]
    seconds, _ = timed(lambda: dolma(command))
    lengths = 0
    for path in (job.out / "tokens").rglob("*.csv.gz"):
        with gzip.open(path, "rt") as file:
            lengths += sum(int(row[1]) - int(row[0]) for row in csv.reader(file))
    if not lengths:
        raise RuntimeError("it ended well and wrote no tokens")
    return seconds, lengths


def _write_older(newer: Path, older: Path) -> None:
    """It is held to tokenizers 0.19, which reads a merge as one string of two parts and not as a pair."""
    content = json.loads(newer.read_text())
    merges = content["model"]["merges"]
    content["model"]["merges"] = [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]
    older.write_text(json.dumps(content))


if __name__ == "__main__":
    main(tokenise)
