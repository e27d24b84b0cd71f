"""`midtrain prepare`, whole, on sources in a bucket: what is on disk afterwards is what local files would have given."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.config.load import load_config
from tests.commands.command_line import midtrain
from tests.corpus.stores import KEYS
from tests.corpus.writing import write_texts
from tests.support.prepared import prepare_sources
from tests.support.tiny import overrides, write_everything


def changes(place: str, folder: Path) -> dict[str, object]:
    """The tiny sources at another place, and shards of their own for it."""
    return {
        "shards.dir": folder / "shards" / place.partition(":")[0].strip("/").replace("/", "-"),
        "sources.spec": f"{{role:spec,paths:['{place}/spec'],heldout_paths:['{place}/heldout/*.md']}}",
        "sources.code": f"{{role:general,paths:['{place}/code.jsonl'],heldout_share:0.1}}",
        "sources.docs": f"{{role:general,paths:['{place}/docs.parquet'],heldout_share:0.1,weight:2}}",
    }


@pytest.fixture
def folder(tmp_path: Path, put: Callable[..., str]) -> Path:
    """Model and corpora on disk, and the corpora in a bucket as well."""
    write_everything(tmp_path)
    texts = [json.loads(line)["text"] for line in (tmp_path / "docs.jsonl").read_text().splitlines()]
    write_texts(tmp_path / "docs.parquet", texts)
    for path in [*tmp_path.glob("*.jsonl"), *tmp_path.glob("*.parquet"), *tmp_path.glob("spec/*.md"), *tmp_path.glob("heldout/*.md")]:
        put(f"tiny/{path.relative_to(tmp_path)}", path)
    return tmp_path


def test_sources_in_a_bucket_are_prepared_once_into_the_same_tokens_and_their_secrets_go_nowhere(
    folder: Path, put: Callable[..., str]
) -> None:
    words = overrides(folder, **changes("s3://corpora/tiny", folder))
    first = midtrain("prepare", "--json", *words, cwd=folder)
    assert first.returncode == 0, first.stderr
    local = prepare_sources(load_config(overrides(folder, **changes(str(folder), folder))))
    assert {row["name"]: row["fingerprint"] for row in json.loads(first.stdout)["sources"]} == {
        name: manifest.fingerprint for name, manifest in local.items()
    }
    again = midtrain("prepare", "--json", *words, cwd=folder)
    assert (again.returncode, again.stdout, again.stderr) == (0, first.stdout, "")
    written = b"".join(path.read_bytes() for path in (folder / "shards").rglob("*") if path.is_file())
    said = (first.stdout + first.stderr + again.stderr).encode()
    secrets = [value.encode() for name, value in KEYS.items() if name.endswith(("_KEY", "_ID", "_TOKEN"))]
    assert [secret for secret in secrets if secret in written + said] == []


def test_a_bucket_that_is_out_of_reach_is_one_message_and_the_exit_code_of_infrastructure(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    ended = midtrain("prepare", *overrides(folder, **changes("s3://corpora/tiny", folder)), cwd=folder)
    assert (ended.returncode, ended.stdout) == (6, "")
    assert ended.stderr.startswith("error: s3://corpora/tiny/spec cannot be read (EndpointConnectionError")
    assert "Traceback" not in ended.stderr
