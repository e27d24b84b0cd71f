"""`midtrain sync` pushes what W&B lacks of a run, once, and says why when it cannot."""

import json

import pytest

from orchestrator.commands.console import Console
from orchestrator.commands.sync import show_sync, sync
from orchestrator.errors import ConfigError, InfrastructureError, RunExistsError
from orchestrator.runs.directory import RunDirectory
from orchestrator.tracking.mirroring import mirroring
from orchestrator.tracking.wandb_id import wandb_id
from tests.commands.command_line import midtrain
from tests.tracking.mirrored import log, tracking, wait_for
from tests.tracking.stand_in import Behaviour, StandIn


def test_what_went_to_offline_files_has_not_gone_to_the_service(run: RunDirectory, service: StandIn) -> None:
    with mirroring(run, tracking("offline"), pytest.fail):
        log(run, range(4))
    ended = midtrain("sync", str(run.root), "--json", cwd=run.root)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout) == {"project": "midtrain", "wandb_id": wandb_id(run), "lines": 4, "step": 3}
    assert service.steps() == [0, 1, 2, 3]


def test_repeating_it_pushes_nothing_twice(run: RunDirectory, service: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    for last_step in (3, 3, 5):
        log(run, range(last_step + 1))
        show_sync(sync(run, timeout_seconds=60), Console())
        assert service.steps() == list(range(last_step + 1))
        assert f"has all {last_step + 1} lines of the run, to step {last_step}" in capsys.readouterr().out


def test_what_a_service_in_trouble_has_not_kept_is_pushed_when_it_is_well(run: RunDirectory, service: StandIn) -> None:
    with mirroring(run, tracking("online", 2), lambda line: None):
        log(run, range(3))
        wait_for(lambda: bool(service.runs))
        service.behaviour = "drops lines"
        log(run, range(3, 6), from_step=2)
    assert not service.runs[wandb_id(run)] or service.steps()[-1] < 5
    service.behaviour = "works"
    sync(run, timeout_seconds=60)
    assert service.steps() == list(range(6))


@pytest.mark.parametrize("behaviour", ["fails", "hangs", "drops lines", "refuses the key"])
def test_a_service_that_does_not_take_the_lines_in_time_is_infrastructure(
    run: RunDirectory, service: StandIn, behaviour: Behaviour
) -> None:
    log(run, range(3))
    service.behaviour = behaviour
    with pytest.raises(InfrastructureError, match=r"W&B does not have all of .* 3 lines: .*wandb\.log"):
        sync(run, timeout_seconds=2)


def test_a_missing_key_is_the_users_to_give(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    ended = midtrain("sync", str(run.root), cwd=run.root)
    assert (ended.returncode, "WANDB_API_KEY is not set" in ended.stderr, "Traceback" in ended.stderr) == (2, True, False)


def test_a_malformed_key_is_the_users_to_correct(run: RunDirectory, service: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "too short")
    log(run, range(3))
    with pytest.raises(ConfigError, match="WANDB_API_KEY"):
        sync(run, timeout_seconds=60)


def test_a_run_that_is_being_mirrored_is_not_synced(run: RunDirectory, service: StandIn) -> None:
    with mirroring(run, tracking("online"), pytest.fail):
        wait_for(lambda: bool(service.runs))
        with pytest.raises(RunExistsError, match=f"{run.root} is being mirrored"):
            sync(run, timeout_seconds=60)


def test_a_run_without_a_line_has_nothing_to_push(run: RunDirectory, service: StandIn) -> None:
    assert sync(run, timeout_seconds=60)["lines"] == 0
    assert service.requests == 0
