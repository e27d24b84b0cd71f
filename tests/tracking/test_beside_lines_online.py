"""What the service gets beside the lines: once, whatever becomes of it, and never in the way of them. (The service is a stand-in.)"""

import time
from pathlib import Path

import psutil
import pytest

from orchestrator.commands.sync import sync
from orchestrator.errors import InfrastructureError
from orchestrator.runs.attempts import Stop, start_attempt, stop_attempt
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines
from orchestrator.tracking.mirroring import mirroring
from orchestrator.tracking.wandb_id import wandb_id
from tests.support.run_directory import write_checkpoint
from tests.tracking.mirrored import CONTENT, NUM_PROCESSES, folder_of, made_up, processes_of, tracking, wait_for
from tests.tracking.stand_in import Behaviour, PushedRun, StandIn

FAILED = Stop(step=45, reason="loss is NaN", reason_class="numerics", exit_code=5)
DONE = Stop(step=60, reason="all steps are done", reason_class="done", exit_code=0)
STEPS = list(range(46))
INPUTS = ["corpus-package_docs", "corpus-python_source", "corpus-spec", "model-model"]


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return made_up(tmp_path, FAILED, **{"tracking.group": "ratios", "tracking.tags": "[control]"})


def mirrored(run: RunDirectory, seconds: float = 30) -> list[str]:
    """What is said of a command that ends at once."""
    said: list[str] = []
    with mirroring(run, tracking("online", seconds), said.append):
        pass
    return said


def pushed(service: StandIn, run: RunDirectory) -> PushedRun:
    return service.beside[wandb_id(run)]


def names(service: StandIn) -> list[str]:
    return sorted(artifact.name for artifact in service.artifacts.values() if artifact.kind != "run_table")


def test_the_service_gets_identity_plan_lineage_alerts_and_end(run: RunDirectory, service: StandIn) -> None:
    assert mirrored(run) == []
    beside, wandb = pushed(service, run), wandb_id(run)
    assert {key: beside.settings[key] for key in ("groupName", "tags", "displayName", "program")} == {
        "groupName": "ratios",
        "tags": ["control"],
        "displayName": "tiny",
        "program": "midtrain",
    }
    assert "plan_fingerprint" in beside.config
    assert [alert["title"] for alert in beside.alerts] == ["attempt 1 stopped: numerics"]
    assert names(service) == [f"checkpoint-{wandb}", f"checkpoint-{wandb}", *INPUTS]
    assert sorted(service.artifacts[artifact_id].name for artifact_id in beside.used) == INPUTS
    assert set(beside.exit_codes) == {5}
    assert {"frontier/uptake", "frontier/forgetting", "attempts", "gpu_hours", "plan"} <= beside.summary.keys()


def test_no_content_of_a_corpus_is_uploaded(run: RunDirectory, service: StandIn) -> None:
    mirrored(run)
    kinds = {path.split("/")[0] for path in service.uploads}
    assert kinds == {"manifests", "artifacts", "media", "config.yaml", "wandb-summary.json"}
    assert [path for path in service.uploads if path.startswith(("artifacts/", "media/")) and "plan" not in path] == []
    assert [path for path, content in service.uploads.items() if CONTENT in content] == []


def test_over_restarts_everything_arrives_once(run: RunDirectory, service: StandIn) -> None:
    mirrored(run)
    mirrored(run)
    number = start_attempt(run, world_size=2, from_step=40)
    write_checkpoint(run, 60)
    stop_attempt(run, number, DONE)
    assert mirrored(run) == []
    beside = pushed(service, run)
    assert [alert["title"] for alert in beside.alerts] == ["attempt 1 stopped: numerics"]
    made = [artifact.aliases for artifact in service.artifacts.values() if artifact.kind == "checkpoint"]
    assert made == [["latest", f"step-{step}"] for step in (20, 40, 60)]
    assert len(beside.used) == len(INPUTS)
    assert beside.exit_codes[-1] == 0


def test_sync_brings_to_the_service_what_was_told_offline_and_nothing_twice(run: RunDirectory, service: StandIn) -> None:
    with mirroring(run, tracking("offline"), pytest.fail):
        pass
    for _ in range(2):
        sync(run, timeout_seconds=60)
    beside = pushed(service, run)
    assert (service.steps(), len(beside.alerts), len(names(service)), beside.samples) == (STEPS, 1, 6, [])
    assert all(artifact.aliases.count("latest") == 1 for artifact in service.artifacts.values())


def test_of_a_run_that_stopped_before_its_first_line_the_reason_is_pushed(run: RunDirectory, service: StandIn) -> None:
    run.metrics.unlink()
    assert sync(run, timeout_seconds=60)["lines"] == 0
    assert [alert["text"] for alert in pushed(service, run).alerts] == ["tiny, after step 45: loss is NaN"]


def test_a_service_that_refuses_artifacts_gets_the_lines_and_the_rest_when_it_is_well(run: RunDirectory, service: StandIn) -> None:
    service.behaviour = "refuses artifacts"
    (said,) = mirrored(run)
    assert ("W&B has all lines and has not taken" in said, f"midtrain sync {run.root}" in said) == (True, True)
    assert (service.steps(), pushed(service, run).exit_codes[-1], names(service)) == (STEPS, 5, [])
    service.behaviour = "works"
    sync(run, timeout_seconds=60)
    assert (service.steps(), len(names(service))) == (STEPS, 6)


def test_when_wandbs_own_process_dies_of_artifacts_the_lines_go_without(run: RunDirectory, service: StandIn) -> None:
    service.behaviour = "answers artifacts with nothing"
    with pytest.raises(InfrastructureError, match="W&B has all lines and has not taken artifacts"):
        sync(run, timeout_seconds=60)
    assert service.steps() == STEPS


@pytest.mark.parametrize("behaviour", ["fails", "hangs"])
def test_a_service_that_breaks_down_while_it_is_told_costs_no_more_than_is_configured(
    run: RunDirectory, service: StandIn, behaviour: Behaviour
) -> None:
    before = run.metrics.read_bytes()
    said: list[str] = []
    with mirroring(run, tracking("online", 2), said.append):
        wait_for(lambda: bool(service.beside))
        service.behaviour = behaviour
        ends = time.monotonic()
    assert time.monotonic() - ends < 15
    assert ["W&B is behind" in line for line in said] == [True]
    assert run.metrics.read_bytes() == before
    service.behaviour = "works"
    sync(run, timeout_seconds=60)
    assert (service.steps(), len(names(service))) == (STEPS, 6)


def test_an_alert_of_a_mirror_that_was_killed_comes_twice_rather_than_never(run: RunDirectory, service: StandIn) -> None:
    with mirroring(run, tracking("online"), lambda line: None):
        wait_for(lambda: bool(service.beside) and bool(pushed(service, run).alerts))
        for process in psutil.Process().children(recursive=True):
            process.kill()
    assert mirrored(run) == []
    assert [alert["title"] for alert in pushed(service, run).alerts] == ["attempt 1 stopped: numerics"] * 2
    assert len(list(read_lines(run.metrics))) == len(service.steps())


def test_figures_of_the_machine_arrive_from_a_command_and_not_from_a_sync(run: RunDirectory, service: StandIn) -> None:
    sync(run, timeout_seconds=60)
    assert pushed(service, run).samples == []
    with mirroring(run, tracking("online"), pytest.fail):
        wait_for(lambda: len(processes_of(run, folder_of(run))) == NUM_PROCESSES)
    assert "system.memory_percent" in pushed(service, run).samples[0]
