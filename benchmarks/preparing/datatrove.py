"""datatrove: JsonlReader into DocumentTokenizer under a LocalPipelineExecutor, a task a file."""

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.tokens import DocumentTokenizer

from benchmarks.preparing.port import Job, Timed, main, timed


def tokenise(job: Job) -> Timed:
    """To .ds files in the order of the documents; its shuffling within files is left out, as no other tool here shuffles."""
    reader = JsonlReader(str(job.text), glob_pattern="*.jsonl.zst", compression="zstd")
    writer = DocumentTokenizer(
        str(job.out / "tokens"), tokenizer_name_or_path=str(job.tokenizer), eos_token=job.separator, shuffle_documents=False
    )
    executor = LocalPipelineExecutor(
        pipeline=[reader, writer],
        tasks=len(list(job.text.glob("*.jsonl.zst"))),
        workers=job.cores,
        logging_dir=str(job.out / "logs"),
        skip_completed=False,
    )
    seconds, _ = timed(executor.run)
    return seconds, sum(path.stat().st_size for path in (job.out / "tokens").glob("*.ds")) // 2


if __name__ == "__main__":
    main(tokenise)
