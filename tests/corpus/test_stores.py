"""Sources behind URLs: found, read, and told apart as local ones are; what goes wrong there is one message without a secret."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from orchestrator.corpus.files import list_files
from orchestrator.errors import ConfigError, DataError, InfrastructureError
from tests.corpus.stores import KEYS, Refusing, Untold, Watched, serving
from tests.corpus.writing import as_jsonl, read, split, write_texts

TEXTS = ["one", "zwei\nlines", "três ☃ \U0001f9ea"]
RECORDS = ("a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.parquet")
TREE = ("b/x.jsonl", "b/deep/er/w.jsonl.zst", "b/notes.pdf", "a/z.md", "a/y.txt", "c [1]?.md")


@pytest.fixture
def tree(put: Callable[..., str]) -> str:
    """A bucket with files of known kinds and others."""
    for key in TREE:
        put(key, key.encode())
    return "s3://corpora"


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["b/x.jsonl"], ["b/x.jsonl"]),
        (["b"], ["b/deep/er/w.jsonl.zst", "b/x.jsonl"]),
        (["b/"], ["b/deep/er/w.jsonl.zst", "b/x.jsonl"]),
        (["a/*.md"], ["a/z.md"]),
        (["a/[xz].*"], ["a/z.md"]),
        (["**/*.jsonl*"], ["b/deep/er/w.jsonl.zst", "b/x.jsonl"]),
        (["b/x.jsonl", "a", "a/z.md", "b/x*"], ["b/x.jsonl", "a/y.txt", "a/z.md"]),
        (["c [1]?.md"], ["c [1]?.md"]),
        ([""], ["a/y.txt", "a/z.md", "b/deep/er/w.jsonl.zst", "b/x.jsonl", "c [1]?.md"]),
    ],
)
def test_a_bucket_gives_the_files_of_a_key_a_prefix_or_a_glob(tree: str, patterns: list[str], found: list[str]) -> None:
    files = list_files("docs", [f"{tree}/{pattern}" for pattern in patterns])
    assert [file.path for file in files] == [f"{tree}/{key}" for key in found]
    assert [file.size_bytes for file in files] == [len(key) for key in found]


@pytest.mark.parametrize("name", RECORDS)
def test_records_in_a_bucket_are_the_documents_that_they_are_on_disk(tmp_path: Path, put: Callable[..., str], name: str) -> None:
    local = write_texts(tmp_path / name, [*TEXTS, None])
    url = put(f"deep/{name}", local)
    documents, (reject,) = split(url)
    first = 0 if name.endswith(".parquet") else 1
    assert [(document.id, document.text) for document in documents] == [(document.id, document.text) for document in split(local)[0]]
    assert [document.origin for document in documents] == [f"{url}:{first + index}" for index in range(len(TEXTS))]
    assert (reject.file, reject.place) == (url, first + len(TEXTS))


def test_markdown_in_a_bucket_is_cut_into_its_sections(put: Callable[..., str]) -> None:
    url = put("a.md", b"---\nkind: essay\n---\n\n# One\n\nfirst\n\n## Two\n")
    assert [(item.origin, getattr(item, "text", None)) for item in read(url, markdown="section")] == [
        (f"{url}:5", "# One\n\nfirst\n\n"),
        (f"{url}:9", "## Two\n"),
    ]


def test_an_object_has_another_version_once_it_changed_and_the_same_in_another_process_before(put: Callable[..., str]) -> None:
    url = put("a.jsonl", as_jsonl(["one"]))
    code = f"from orchestrator.corpus.files import list_files; print(list_files('docs', ['{url}']) + list_files('docs', ['{url[:-1]}*']))"
    elsewhere = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    before = list_files("docs", [url])
    assert elsewhere.stdout.strip() == str(before * 2)
    put("a.jsonl", as_jsonl(["two"]))
    (after,) = list_files("docs", [url])
    assert after.size_bytes == before[0].size_bytes
    assert after.version != before[0].version


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("s3://corpora/no.jsonl", ["'docs'", "s3://corpora/no.jsonl", "sources.docs"]),
        ("s3://corpora/no/*.jsonl", ["'docs'", "s3://corpora/no/*.jsonl"]),
        ("s3://corpora/no/", ["'docs'", "s3://corpora/no/"]),
        ("s3://no-such-bucket/a.jsonl", ["'docs'", "s3://no-such-bucket/a.jsonl"]),
        ("s3://no-such-bucket/*.jsonl", ["'docs'", "s3://no-such-bucket/*.jsonl"]),
        ("s3://corpora/b/notes.pdf", ["'docs'", "notes.pdf", ".jsonl.zst"]),
        ("s3://corpora/empty.md", ["'docs'", "empty.md", "0 bytes"]),
    ],
)
def test_a_url_without_usable_files_is_an_error_that_names_source_and_url(
    tree: str, put: Callable[..., str], url: str, named: list[str]
) -> None:
    put("empty.md", b"")
    with pytest.raises(DataError) as caught:
        list_files("docs", [url])
    assert [part for part in named if part not in str(caught.value)] == []


@pytest.fixture
def other_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """A function that makes the environment name another S3 server, with secrets of its own."""

    def choose(url: str) -> None:
        for name, value in (KEYS | {"AWS_ENDPOINT_URL": url}).items():
            monkeypatch.setenv(name, value)
        fsspec.get_filesystem_class("s3").clear_instance_cache()

    yield choose
    fsspec.get_filesystem_class("s3").clear_instance_cache()


@pytest.mark.parametrize("pattern", ["a.jsonl", "a/", "*.jsonl"])
def test_a_refused_key_is_an_error_of_the_data_that_repeats_no_secret(other_store: Callable[[str], None], pattern: str) -> None:
    with serving(Refusing) as server:
        other_store(server)
        with pytest.raises(DataError, match="environment") as caught:
            list_files("docs", [f"s3://corpora/{pattern}"])
    assert f"s3://corpora/{pattern}" in str(caught.value)
    assert [name for name, value in KEYS.items() if name.endswith(("KEY", "ID", "TOKEN")) and value in str(caught.value)] == []


def test_missing_credentials_are_an_error_of_the_data_that_says_where_they_go(
    other_store: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    other_store("http://127.0.0.1:1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    with pytest.raises(DataError, match=r"s3://corpora/a\.jsonl .*credentials.*environment"):
        list_files("docs", ["s3://corpora/a.jsonl"])


def test_a_server_that_cannot_be_reached_is_an_error_of_infrastructure_without_its_login(other_store: Callable[[str], None]) -> None:
    other_store("http://user:made-up-login@127.0.0.1:1")
    with pytest.raises(InfrastructureError, match=r"s3://corpora/a\.jsonl") as caught:
        list_files("docs", ["s3://corpora/a.jsonl"])
    assert "made-up-login" not in str(caught.value)


@pytest.mark.parametrize("pattern", ["a.jsonl", "a/", "*.jsonl"])
def test_a_web_server_that_cannot_be_reached_is_not_one_without_files(pattern: str) -> None:
    with pytest.raises(InfrastructureError, match=r"http://127\.0\.0\.1:1/"):
        list_files("docs", [f"http://127.0.0.1:1/{pattern}"])


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("gs://bucket/a.jsonl", ["gs://bucket/a.jsonl", "gcsfs", "midtrain[gcs]"]),
        ("nosuch://bucket/a.jsonl", ["nosuch://bucket/a.jsonl", "Protocol not known", "https"]),
        ("zip://*.jsonl::s3://bucket/a.zip", ["zip://*.jsonl::s3://bucket/a.zip", "chains"]),
    ],
)
def test_a_url_that_nothing_here_can_open_is_an_error_of_the_configuration(
    monkeypatch: pytest.MonkeyPatch, url: str, named: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(ConfigError) as caught:
        list_files("docs", [url])
    assert [part for part in named if part not in str(caught.value)] == []


@pytest.mark.parametrize("name", RECORDS[:3])
def test_files_on_a_web_server_are_found_by_name_and_in_directories_and_read(web: tuple[Path, str], name: str) -> None:
    folder, url = web
    write_texts(folder / "deep" / name, TEXTS)
    (folder / "deep" / "notes.pdf").write_text("x")
    for pattern in (f"deep/{name}", "deep/", "deep/a.*", ""):
        (file,) = list_files("docs", [f"{url}/{pattern}"])
        assert file.path == f"{url}/deep/{name}"
    assert [document.text for document in split(file.path)[0]] == TEXTS


def test_a_web_server_that_does_not_tell_when_a_file_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_texts(tmp_path / "a.jsonl", TEXTS)
    monkeypatch.chdir(tmp_path)
    with serving(Untold) as url, pytest.raises(DataError, match=r"a\.jsonl.*does not tell its version"):
        list_files("docs", [f"{url}/a.jsonl"])


@pytest.fixture
def watched() -> Iterator[Callable[[str, bytes], str]]:
    """A function that puts bytes into a store that counts what is read."""
    fsspec.register_implementation("watched", Watched, clobber=True)
    Watched.bytes_read, Watched.breaks_after = 0, float("inf")

    def upload(name: str, data: bytes) -> str:
        fsspec.filesystem("watched").pipe_file(f"/{name}", data)
        return f"watched:///{name}"

    yield upload
    Watched.store.clear()


def test_of_parquet_only_the_text_is_fetched(tmp_path: Path, watched: Callable[[str, bytes], str]) -> None:
    noise = np.random.default_rng(0).bytes(100 * 200_000)
    blobs = [noise[200_000 * index : 200_000 * (index + 1)] for index in range(100)]
    parquet.write_table(
        pyarrow.table({"before": blobs, "text": ["a text"] * 100, "after": blobs}), tmp_path / "a.parquet", row_group_size=20
    )
    url = watched("a.parquet", (tmp_path / "a.parquet").read_bytes())
    assert len(split(url)[0]) == 100
    assert Watched.bytes_read < 500_000 < list_files("docs", [url])[0].size_bytes


@pytest.mark.parametrize("name", [*RECORDS, "a.md"])
def test_a_line_that_goes_dead_while_a_file_is_read_is_no_fault_of_the_data(
    tmp_path: Path, watched: Callable[[str, bytes], str], name: str
) -> None:
    texts = [f"{index} {np.random.default_rng(index).bytes(2000).hex()}" for index in range(2000)]
    path = tmp_path / name
    if name == "a.md":
        path.write_text("\n".join(texts))
    else:
        write_texts(path, texts)
    url = watched(name, path.read_bytes())
    Watched.breaks_after = 1
    with pytest.raises(InfrastructureError, match=rf"{url} cannot be read \(ConnectionResetError: the line went dead\)"):
        read(url)
