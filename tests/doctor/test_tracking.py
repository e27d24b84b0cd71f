"""Whether W&B will get what is logged: against a stand-in of its service."""

import os
import socket
from pathlib import Path
from typing import Literal

import pytest

from orchestrator.config.load import load_config
from orchestrator.config.operation import TrackingConfig
from orchestrator.doctor import tracking
from orchestrator.doctor.here import check_inputs
from orchestrator.doctor.tracking import check_tracking
from tests.support.prepared import write_prepared
from tests.support.tiny import overrides
from tests.tracking.conftest import service as service
from tests.tracking.stand_in import Behaviour, StandIn


def configured(wandb: Literal["off", "offline", "online"]) -> TrackingConfig:
    return TrackingConfig(wandb=wandb, project="midtrain", group=None, tags=(), system_metrics=False, finish_seconds=1)


@pytest.mark.parametrize("mode", ["off", "offline"])
def test_without_the_service_nothing_is_asked_and_the_mode_is_said(mode: Literal["off", "offline"]) -> None:
    found = check_tracking(configured(mode), "here", {})
    assert (found.verdict, found.value.split(":")[0]) == ("good", mode)


def test_a_key_that_the_service_knows_is_good(service: StandIn) -> None:
    found = check_tracking(configured("online"), "here", os.environ)
    assert (found.verdict, found.value) == ("good", f"online: {service.url} knows the key as keeper's")


@pytest.mark.parametrize(("behaviour", "verdict", "said"), [("refuses the key", "bad", "refuses the key"), ("fails", "warning", "500")])
def test_a_service_that_refuses_or_fails_is_told(service: StandIn, behaviour: Behaviour, verdict: str, said: str) -> None:
    service.behaviour = behaviour
    found = check_tracking(configured("online"), "here", os.environ)
    assert (found.verdict, said in found.value) == (verdict, True)
    assert os.environ["WANDB_API_KEY"] not in f"{found}"


def test_a_service_that_hangs_is_not_waited_for(service: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    service.behaviour = "hangs"
    monkeypatch.setattr(tracking, "_ANSWER_SECONDS", 0.3)
    found = check_tracking(configured("online"), "here", os.environ)
    assert (found.verdict, "timed out" in found.value) == ("warning", True)


def test_a_service_that_is_not_there_is_a_warning(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    environment = {"WANDB_API_KEY": "k" * 40, "WANDB_BASE_URL": f"http://127.0.0.1:{port}"}
    found = check_tracking(configured("online"), "here", environment)
    assert (found.verdict, "refused" in found.value) == ("warning", True)


def test_without_a_key_and_a_login_it_is_bad(service: StandIn) -> None:
    found = check_tracking(configured("online"), "here", {"WANDB_BASE_URL": service.url})
    assert (found.verdict, found.value) == ("bad", "online, and WANDB_API_KEY is not set")
    assert service.requests == 0


def test_the_key_of_a_login_is_used(service: StandIn) -> None:
    home = Path(os.environ["HOME"])
    home.mkdir()
    (home / ".netrc").write_text(f"machine 127.0.0.1 login user password {'k' * 40}\n")
    (home / ".netrc").chmod(0o600)
    asked = []

    def ask(url: str, key: str) -> str:
        asked.append((url, key))
        return "keeper"

    assert check_tracking(configured("online"), "here", {"WANDB_BASE_URL": service.url}, ask).verdict == "good"
    assert asked == [(service.url, "k" * 40)]


def test_a_key_that_only_jobs_have_is_not_missed_where_a_run_is_submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_prepared(tmp_path)
    config = load_config(overrides(tmp_path, tracking="online"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert [found.verdict for found in check_inputs(config) if found.check == "W&B"] == ["bad"]
    assert [found for found in check_inputs(config, jobs_have_keys=True) if found.check == "W&B"] == []
