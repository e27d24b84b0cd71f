"""Stores that sources can lie in, each a real server on a loopback port. Their keys are in the environment and nowhere else."""

from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import fsspec
import pytest
from moto.server import ThreadedMotoServer

from tests.corpus.stores import KEYS, QuietFiles, serving

BUCKET = "corpora"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """An S3 server, named by the environment."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (KEYS | {"AWS_ENDPOINT_URL": url}).items():
            patch.setenv(name, value)
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        yield url
        fsspec.get_filesystem_class("s3").clear_instance_cache()
    server.stop()


@pytest.fixture
def put(s3: str) -> Iterator[Callable[..., str]]:
    """A function that puts files or bytes into a bucket and gives their URL."""
    store = fsspec.filesystem("s3")
    store.mkdir(BUCKET)

    def upload(key: str, content: Path | bytes) -> str:
        store.pipe_file(f"{BUCKET}/{key}", content if isinstance(content, bytes) else content.read_bytes())
        return f"s3://{BUCKET}/{key}"

    yield upload
    store.rm(BUCKET, recursive=True)
    store.invalidate_cache()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the URL under which a web server shows it."""
    folder = tmp_path / "web"
    folder.mkdir()
    handler: Callable[..., SimpleHTTPRequestHandler] = partial(QuietFiles, directory=str(folder))
    with serving(handler) as url:
        yield folder, url
