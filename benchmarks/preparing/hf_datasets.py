"""Hugging Face datasets as its language-modelling examples use it: load, map the tokenizer, map the grouping into blocks."""

import itertools
from typing import Any

import datasets
from tokenizers import Tokenizer

from benchmarks.preparing.port import Job, Timed, main, timed
from benchmarks.rows import SEQUENCE_LENGTH


def tokenise(job: Job) -> Timed:
    """To Arrow files of whole blocks; what is left at the end of a batch of 1,000 documents is dropped, as those examples do."""
    datasets.disable_progress_bars()
    datasets.config.HF_DATASETS_CACHE = job.out
    return timed(lambda: _tokens(job))


def _tokens(job: Job) -> int:
    tokenizer = Tokenizer.from_file(str(job.tokenizer))

    def encode(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        encodings = tokenizer.encode_batch_fast(batch["text"], add_special_tokens=False)
        return {"input_ids": [[*encoding.ids, job.separator_id] for encoding in encodings]}

    def group(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        ids = list(itertools.chain.from_iterable(batch["input_ids"]))
        whole = len(ids) // SEQUENCE_LENGTH * SEQUENCE_LENGTH
        return {"input_ids": [ids[start : start + SEQUENCE_LENGTH] for start in range(0, whole, SEQUENCE_LENGTH)]}

    files = sorted(str(path) for path in job.text.glob("*.jsonl.zst"))
    text = datasets.load_dataset("json", data_files=files, split="train", num_proc=job.cores, cache_dir=str(job.out))
    ids = text.map(encode, batched=True, num_proc=job.cores, remove_columns=["id", "text"])
    return SEQUENCE_LENGTH * len(ids.map(group, batched=True, num_proc=job.cores))


if __name__ == "__main__":
    main(tokenise)
