"""A stand-in for W&B's service, and an environment in which W&B knows nobody but it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.runs.directory import RunDirectory
from tests.tracking.mirrored import KEY, make_run
from tests.tracking.stand_in import StandIn, stand_in


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StandIn]:
    for name in ("WANDB_MODE", "WANDB_DIR", "WANDB_PROJECT", "WANDB_ENTITY", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    with stand_in() as service:
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setenv("WANDB_BASE_URL", service.url)
        yield service


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return make_run(tmp_path)
