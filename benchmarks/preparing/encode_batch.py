"""The tokenizer alone: texts in memory to ids in memory, the threads of `encode_batch` as many as cores. No tool can be faster with it."""

from tokenizers import Tokenizer

from benchmarks.preparing.port import Job, Timed, main, timed
from benchmarks.preparing.text import read_texts


def tokenise(job: Job) -> Timed:
    """Neither reading nor writing is timed."""
    texts = read_texts(job.text)
    tokenizer = Tokenizer.from_file(str(job.tokenizer))
    seconds, encodings = timed(lambda: tokenizer.encode_batch(texts, add_special_tokens=False))
    return seconds, sum(len(encoding.ids) for encoding in encodings) + len(texts)


if __name__ == "__main__":
    main(tokenise)
