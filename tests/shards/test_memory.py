"""A unit is worked on in the memory of a batch: what its files hold, and what is wrong with them, may be as much as there is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.config.data import ShardsConfig, SourceConfig
from orchestrator.corpus.audit import Watch
from orchestrator.corpus.near_copies import index_spec_documents
from orchestrator.corpus.overlap import index_evaluation_sets
from orchestrator.corpus.unit_audit import AuditTask, audit_unit
from orchestrator.shards.tokenize import tokenise_unit
from orchestrator.shards.vocabulary import load_vocabulary
from tests.support.prepared import task_of, units_of
from tests.support.tiny import write_model

MORE_LINES = 160_000
MOST_MORE_BYTES = 40 << 20  # objects for each line would take 90 MB and more; what an allocator keeps differs by 20
MEASURE = "import sys; from tests.shards.test_memory import measure; measure(*sys.argv[1:])"


def most_bytes() -> int:
    """The most memory that this process has had. `getrusage` would also count what its parent had when it was started."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return 1024 * int(found[1])


def measure(folder: str, step: str, field: str) -> None:
    """Print how much more memory a step takes for a large file than for a small one."""
    vocabulary, peaks = load_vocabulary(f"{folder}/model", None), []
    watch = Watch(index_evaluation_sets({}), index_spec_documents({}))
    for name in ("small", "large"):
        source = SourceConfig(role="general", paths=(f"{folder}/{name}.jsonl",), text_field=field)
        shards = ShardsConfig(dir=f"{folder}/{name}", document_separator=None, shard_bytes=1, packing="concatenate")
        (unit,) = units_of(source, shards)
        if step == "audit":
            audit_unit(AuditTask(unit, ""), watch)
        else:
            tokenise_unit(task_of(unit, vocabulary))
        peaks.append(most_bytes())
    print(peaks[1] - peaks[0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of a few batches, and one of many."""
    folder = tmp_path_factory.mktemp("memory")
    write_model(folder / "model")
    for name, num_lines in (("small", 60_000), ("large", 60_000 + MORE_LINES)):
        with (folder / f"{name}.jsonl").open("w") as file:
            file.writelines(f'{{"text": "{number} asks"}}\n' for number in range(num_lines))
    return folder


def more_bytes(folder: Path, step: str, field: str) -> int:
    words = [sys.executable, "-c", MEASURE, str(folder), step, field]
    return int(subprocess.run(words, capture_output=True, text=True, check=True, timeout=120).stdout)


def test_documents_take_few_bytes_each_however_short_they_are(folder: Path) -> None:
    assert more_bytes(folder, "tokenise", "text") < MOST_MORE_BYTES


@pytest.mark.parametrize("step", ["audit", "tokenise"])
def test_rejects_take_no_memory_however_many_they_are(folder: Path, step: str) -> None:
    assert more_bytes(folder, step, "a field that no line has") < MOST_MORE_BYTES
