"""Compressed files are read whole or to where they break; and no file, however large, is held in memory."""

import gzip
import struct
import subprocess
import sys
from pathlib import Path

import pyarrow
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from tests.corpus.writing import PACKED_BY, as_jsonl, split

MANY = [f"document {index} " + f"word{index} " * 30 for index in range(3000)]


def zstd_with_block_ends(texts: list[str]) -> tuple[bytes, bytes]:
    """A file of one frame with a block for each line: all of it, and its first half, which ends with a whole line."""
    packer = zstandard.ZstdCompressor().compressobj()
    blocks = [packer.compress(as_jsonl([text])) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) for text in texts]
    return b"".join(blocks) + packer.flush(), b"".join(blocks[: len(blocks) // 2])


def pzstd(texts: list[str]) -> bytes:
    """Frames as pzstd writes them: before each a skippable one of four bytes, which say how long it is."""
    halves = (texts[: len(texts) // 2], texts[len(texts) // 2 :])
    frames = [zstandard.compress(as_jsonl(half)) for half in halves]
    return b"".join(struct.pack("<III", 0x184D2A50, 4, len(frame)) + frame for frame in frames)


def cut_short(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


BROKEN = {
    "gz cut in the middle": ("a.jsonl.gz", cut_short(gzip.compress(as_jsonl(MANY)))),
    "gz without its checksum": ("a.jsonl.gz", gzip.compress(as_jsonl(MANY))[:-4]),
    "gz with a flipped byte early": ("a.jsonl.gz", flipped(gzip.compress(as_jsonl(MANY)), 17)),
    "gz with a flipped byte late": ("a.jsonl.gz", flipped(gzip.compress(as_jsonl(MANY)), -5)),
    "gz that is none": ("a.jsonl.gz", b"plain text"),
    "zst cut in the middle": ("a.jsonl.zst", cut_short(zstandard.compress(as_jsonl(MANY)))),
    "zst without its last byte": ("a.jsonl.zst", zstandard.compress(as_jsonl(MANY))[:-1]),
    "zst cut at the end of a line": ("a.jsonl.zst", zstd_with_block_ends(MANY)[1]),
    "zst that is none": ("a.jsonl.zst", b"plain text"),
}


@pytest.mark.parametrize(("name", "data"), BROKEN.values(), ids=BROKEN.keys())
def test_a_compressed_file_that_breaks_off_is_told_where_it_does(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    documents, rejects = split(path)
    assert [document.text for document in documents] == MANY[: len(documents)]
    assert [reject.origin for reject in rejects] == [f"{path}:{len(documents) + 1}"]
    assert "compressed file" in rejects[0].reason


def test_compressed_files_that_were_joined_are_read_to_their_end(tmp_path: Path) -> None:
    whole, _ = zstd_with_block_ends(MANY)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(as_jsonl(MANY)) * 2)
    (tmp_path / "a.jsonl.zst").write_bytes(whole + zstandard.compress(as_jsonl(MANY)))
    for name in ("a.jsonl.gz", "a.jsonl.zst"):
        documents, rejects = split(tmp_path / name)
        assert ([document.text for document in documents], rejects) == (MANY * 2, [])


def test_frames_as_pzstd_writes_them_are_read_to_their_end(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.zst").write_bytes(pzstd(MANY))
    documents, rejects = split(tmp_path / "a.jsonl.zst")
    assert ([document.text for document in documents], rejects) == (MANY, [])


def test_a_break_in_a_later_frame_is_told_and_the_frames_before_are_kept(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.zst").write_bytes(pzstd(MANY)[:-1])
    documents, (reject,) = split(tmp_path / "a.jsonl.zst")
    assert len(documents) >= len(MANY) // 2
    assert (reject.file, reject.place) == (str(tmp_path / "a.jsonl.zst"), len(documents) + 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("streams")


SOME = [f"document {index} {'word' * (index % 50)} \u2603" for index in range(40)]


@settings(max_examples=120, deadline=None)
@given(data=st.data(), suffix=st.sampled_from([".gz", ".zst"]))
def test_a_compressed_file_cut_anywhere_gives_a_prefix_of_its_documents_and_one_reject(
    folder: Path, data: st.DataObject, suffix: str
) -> None:
    whole = PACKED_BY[suffix](as_jsonl(SOME))
    path = folder / f"a.jsonl{suffix}"
    path.write_bytes(whole[: data.draw(st.integers(1, len(whole) - 1))])
    documents, rejects = split(path)
    assert [document.text for document in documents] == SOME[: len(documents)]
    assert [(reject.file, reject.place) for reject in rejects] == [(str(path), len(documents) + 1)]


LARGE_BYTES = 256 << 20
MOST_MORE_BYTES = 96 << 20
READ = """
import resource, sys
import pyarrow.parquet, xxhash
from orchestrator.corpus.documents import Document
from orchestrator.corpus.reading import read_documents
def most_bytes():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = most_bytes()
items = read_documents(sys.argv[1], text_field="text", markdown="section")
print(sum(len(item.text) for item in items if isinstance(item, Document)), most_bytes() - before)
"""


def write_large(path: Path) -> Path:
    """A file with `LARGE_BYTES` of text, a kilobyte a document."""
    num, text = LARGE_BYTES // 1024, "# " + "a" * 1021
    if path.suffix == ".parquet":
        part = pyarrow.table({"text": [f"{index:06d}{text[6:]}\n" for index in range(num // 64)]})
        with parquet.ParquetWriter(path, part.schema, use_dictionary=False) as writer:
            writer.write_table(pyarrow.concat_tables([part] * 64), row_group_size=num)
    elif path.suffix == ".md":
        path.write_bytes((text + "\n").encode() * num)
    else:
        with path.open("wb") as file:
            for _ in range(64):
                file.write(PACKED_BY[path.suffix.removeprefix(".jsonl")](as_jsonl([text + "\n"]) * (num // 64)))
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.parquet", "a.md"])
def test_a_file_is_read_in_less_memory_than_its_text_would_take(tmp_path: Path, name: str) -> None:
    path = write_large(tmp_path / name)
    done = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True, timeout=120)
    num_bytes, more_bytes = map(int, done.stdout.split())
    assert num_bytes == LARGE_BYTES
    assert more_bytes < MOST_MORE_BYTES
