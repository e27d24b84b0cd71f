"""What W&B gets beside the lines, read back from offline files: identity, plan, lineage, summary, alerts, end."""

import json
from pathlib import Path

import pytest

from orchestrator.config.load import read_config
from orchestrator.mixture.plan_file import read_plan
from orchestrator.mixture.summary import summarise
from orchestrator.runs.attempts import Stop, start_attempt, stop_attempt
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines
from orchestrator.tracking.mirroring import mirroring
from orchestrator.tracking.summary import coordinates, plan_table
from orchestrator.tracking.wandb_id import wandb_id
from tests.support.run_directory import write_checkpoint
from tests.tracking.inspected import Inspected, inspect, openings
from tests.tracking.mirrored import CONTENT, NUM_PROCESSES, folder_of, made_up, processes_of, tracking, wait_for

LOST = Stop(step=33, reason="node n-7 is gone", reason_class="infrastructure", exit_code=6)
DONE = Stop(step=60, reason="all steps are done", reason_class="done", exit_code=0)


def mirror(run: RunDirectory) -> Inspected:
    """What a command opens that lasts until W&B is at work."""
    num_processes = NUM_PROCESSES - (not read_config(run.config).tracking.system_metrics)
    with mirroring(run, tracking("offline"), pytest.fail):
        wait_for(lambda: len(processes_of(run, folder_of(run))) == num_processes)
    return inspect(openings(run)[-1])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    changes = {"tracking.group": "ratios", "tracking.tags": "[control,seed-1]"}
    return made_up(tmp_path_factory.mktemp("mirrored"), LOST, DONE, **changes)


@pytest.fixture(scope="module")
def opened(run: RunDirectory) -> Inspected:
    return mirror(run)


def test_a_run_is_in_its_group_with_its_tags_and_its_configuration_has_the_plans_fingerprint(run: RunDirectory, opened: Inspected) -> None:
    (known,) = opened.of("run")
    assert (known["run_group"], known["tags"], known["display_name"]) == ("ratios", ["control", "seed-1"], "tiny")
    assert opened.whole["config"]["plan_fingerprint"] == read_plan(run.plan).fingerprint
    assert opened.whole["config"]["mixture"]["spec_share"] == read_config(run.config).mixture.spec_share


def test_every_line_has_the_number_of_the_attempt_that_made_it(opened: Inspected) -> None:
    assert [(line["step"], line["attempt"]) for line in opened.lines()] == [(step, 1 if step <= 20 else 2) for step in range(61)]


def test_the_summary_has_the_coordinates_of_the_frontier_and_what_it_cost(run: RunDirectory, opened: Inspected) -> None:
    summary = opened.whole["summary"]
    expected = coordinates(summarise(read_plan(run.plan))["sources"], read_lines(run.heldout))
    assert {key: summary[key] for key in expected} == pytest.approx(expected)
    assert {"frontier/uptake", "frontier/forgetting", "frontier/forgetting/package_docs"} <= expected.keys()
    assert (summary["attempts"], summary["attempt"], summary["tokens"]) == (2, 2, 60 * 128)
    assert summary["gpu_hours"] == pytest.approx(2 * (25 + 2.2 * 33 + 25 + 2.2 * 40) / 3600, rel=0.01)


def test_held_out_losses_have_their_lowest_value_beside_the_last_and_all_is_drawn_over_the_step(opened: Inspected) -> None:
    losses = [line["heldout/spec"] for line in opened.lines() if "heldout/spec" in line]
    assert opened.whole["summary"]["heldout/spec"] == {"min": min(losses), "last": losses[-1]}
    assert {metric.get("glob_name") or metric["name"]: metric["step_metric"] for metric in opened.of("metric")} == {
        "*": "step",
        **{f"heldout/{name}": "step" for name in ("spec", "python_source", "package_docs")},
    }


def test_the_plan_is_a_table(run: RunDirectory, opened: Inspected) -> None:
    shown = opened.whole["summary"]["plan"]
    (file,) = run.wandb.glob(f"offline-run-*/files/{shown['path']}")
    table = json.loads(file.read_text())
    columns, rows = plan_table(summarise(read_plan(run.plan))["sources"])
    assert (shown["_type"], table["columns"], table["data"]) == ("table-file", columns, rows)


def test_corpora_and_model_are_inputs_and_checkpoints_are_outputs_by_where_they_are(run: RunDirectory, opened: Inspected) -> None:
    config = read_config(run.config)
    artifacts = [artifact for artifact in opened.of("artifact") if artifact["type"] != "run_table"]
    references = {
        (artifact["type"], artifact.get("use_after_commit", False), entry["ref"])
        for artifact in artifacts
        for entry in artifact["manifest"]["contents"]
    }
    names = ("spec", "python_source", "package_docs")
    assert references == {
        *(("corpus", True, (Path(config.shards.dir) / name).as_uri()) for name in names),
        ("model", True, Path(config.model.path).as_uri()),
        *(("checkpoint", False, (run.checkpoints / f"step_{step:08d}").as_uri()) for step in (20, 40, 60)),
    }
    made = [artifact for artifact in artifacts if artifact["type"] == "checkpoint"]
    assert [(artifact["name"], artifact["aliases"]) for artifact in made] == [
        (f"checkpoint-{wandb_id(run)}", ["latest", f"step-{step}"]) for step in (20, 40, 60)
    ]
    assert json.loads(made[-1]["metadata"]) == {"step": 60, "tokens": 60 * 128, "world_size": 2}


def test_no_file_goes_to_wandb_but_the_plans_table(run: RunDirectory, opened: Inspected) -> None:
    sent = [entry["path"] for artifact in opened.of("artifact") for entry in artifact["manifest"]["contents"] if "local_path" in entry]
    assert sent == ["plan.table.json"]
    assert [path for path in run.wandb.rglob("*") if path.is_file() and CONTENT in path.read_bytes()] == []


def test_a_stop_before_the_end_is_told_and_the_run_ends_as_its_last_attempt(opened: Inspected) -> None:
    assert [{key: alert[key] for key in ("title", "text", "level")} for alert in opened.of("alert")] == [
        {"title": "attempt 1 stopped: infrastructure", "text": "tiny, after step 33: node n-7 is gone", "level": "WARN"}
    ]
    assert (opened.whole["exit_code"], opened.whole["state"]) == (0, "finished")


def test_figures_of_the_machine_are_sampled_and_neither_command_line_nor_account_is_told(run: RunDirectory, opened: Inspected) -> None:
    sampled = {key for sample in opened.of("stats") for key in sample["item"]}
    assert {"memory_percent", "proc.memory.rssMB", f"disk.{run.root}.usagePercent"} <= sampled
    assert {record["type"] for record in opened.records} == {
        *("header", "run", "telemetry", "stats", "metric", "history", "summary", "alert", "artifact", "files", "exit")
    }
    assert not {"command", "program", "executable", "username", "email", "argv"} & opened.of("run")[0].keys()


def test_the_next_opening_tells_nothing_again_but_what_is_new(tmp_path: Path) -> None:
    failed = Stop(step=45, reason="loss is NaN; the key is s3cr3t-of-nobody", reason_class="numerics", exit_code=5)
    run = made_up(tmp_path, LOST, failed)
    first = mirror(run)
    assert (first.whole["exit_code"], first.whole["state"], len(first.of("alert"))) == (5, "failed", 2)
    number = start_attempt(run, world_size=2, from_step=40)
    write_checkpoint(run, 50)
    write_checkpoint(run, 55, kind="insurance")
    stop_attempt(run, number, Stop(step=60, reason="stopped by SIGTERM", reason_class="preempted", exit_code=75))
    second = mirror(run)
    assert [alert["title"] for alert in second.of("alert")] == ["attempt 3 stopped: preempted"]
    assert [artifact["aliases"] for artifact in second.of("artifact")] == [["latest", "step-50"]]
    assert (second.whole["exit_code"], len(second.of("preempting")), len(first.of("preempting"))) == (75, 1, 0)
    assert second.whole["summary"]["attempts"] == 3


def test_an_alert_has_no_secret_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t-of-nobody")
    stop = Stop(step=45, reason="403 for s3cr3t-of-nobody", reason_class="data", exit_code=3)
    run = made_up(tmp_path, stop)
    (alert,) = mirror(run).of("alert")
    assert (alert["text"], alert["level"]) == ("tiny, after step 45: 403 for …", "ERROR")
    files = (path for path in run.wandb.rglob("*") if path.is_file())
    assert [path for path in files if b"s3cr3t-of-nobody" in path.read_bytes()] == []


def test_without_a_group_the_runs_name_is_one_and_without_figures_of_the_machine_none_are_sampled(tmp_path: Path) -> None:
    opened = mirror(made_up(tmp_path, DONE, **{"tracking.system_metrics": False}))
    assert (opened.of("run")[0]["run_group"], opened.of("stats")) == ("tiny", [])
