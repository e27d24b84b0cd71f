"""Second homes: a bucket of a real S3 server, a directory, and the memory of this process."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

from orchestrator.runs.directory import RunDirectory
from tests.corpus.conftest import s3 as s3
from tests.second_home.fickle import Fickle, between
from tests.second_home.made_up import make_run

_numbers = itertools.count()


@pytest.fixture
def bucket(s3: str) -> str:
    """A URL in a bucket of its own."""
    name = f"runs-{next(_numbers)}"
    fsspec.filesystem("s3").mkdir(name)
    return f"s3://{name}/mine"


@pytest.fixture
def place(tmp_path: Path) -> str:
    """A URL of a directory."""
    return f"file://{tmp_path}/second home/mine"


@pytest.fixture(params=["file", "s3"])
def url(request: pytest.FixtureRequest) -> str:
    """Each of the two."""
    return str(request.getfixturevalue({"file": "place", "s3": "bucket"}[request.param]))


@pytest.fixture
def fickle(s3: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fickle]:
    """What stands between this machine and the server, and can be told to misbehave."""
    with between(s3) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        yield server


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run whose second home is nowhere yet."""
    return make_run(tmp_path)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., RunDirectory]:
    """Makes a run with changes to its configuration."""
    return lambda **changes: make_run(tmp_path, **changes)
