"""Runs that are launched on this machine: submitted once, told of, stopped and gone on with, from their directory."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.commands.console import Console
from orchestrator.commands.job import run_job
from orchestrator.commands.jobs import job_of
from orchestrator.commands.launching import relaunch
from orchestrator.commands.status import RunStatus, run_status
from orchestrator.commands.submitting import How
from orchestrator.config.load import load_config
from orchestrator.errors import DataError, NumericsError
from orchestrator.platforms.local import Local
from orchestrator.platforms.submissions import end_submission, read_submissions
from orchestrator.runs.attempts import Stop, start_attempt, stop_attempt
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.stop_request import request_stop, stop_requested
from tests.commands.command_line import midtrain
from tests.support.prepared import make_run, write_prepared
from tests.support.tiny import overrides
from tests.support.waiting import wait_for


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("launch")
    write_prepared(folder)
    return folder


@pytest.fixture(autouse=True)
def nothing_goes_on(home: Path) -> Iterator[None]:
    yield
    for run in (home / "runs").glob("*"):
        found = job_of(RunDirectory(run))
        if found and found[1].is_alive:
            Local().cancel(found[0].job or "", found[0].key)


def run_at(home: Path, name: str) -> Path:
    return home / "runs" / name


def launch(home: Path, name: str, *words: str, code: int = 0, changes: Mapping[str, object] | None = None) -> str:
    given = {"run.name": name, "run.dir": run_at(home, name)} | dict(changes or {})
    done = midtrain("launch", "local", *overrides(home, **given), *words, cwd=home)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def status(home: Path, name: str) -> dict[str, Any]:
    return dict(json.loads(midtrain("status", str(run_at(home, name)), "--json", cwd=home).stdout))


def now(home: Path, name: str) -> RunStatus:
    """As `status` tells it, without a process that takes from the run what it waits for."""
    run = RunDirectory(run_at(home, name))
    return run_status(run, job_of(run))


def wait_for_state(home: Path, name: str, *states: str) -> None:
    wait_for(lambda: now(home, name).state in states, 120)


def test_a_dry_run_prints_the_file_and_makes_nothing(home: Path) -> None:
    said = launch(home, "dry", "--dry-run")
    assert said.startswith("#!/bin/bash\n") and said.rstrip().endswith("exec midtrain job")
    assert not run_at(home, "dry").exists()


def test_a_dry_run_asks_no_platform_and_refuses_what_could_work_on_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    words = overrides(home, **{"run.name": "dry", "run.dir": run_at(home, "dry")})
    slurm = midtrain("launch", "slurm", "--dry-run", *words, "launch.gres=null", cwd=home)
    assert slurm.returncode == 0 and slurm.stdout.startswith("#!/bin/bash\n# midtrain: dry, submission 1, by profile slurm\n#SBATCH ")
    refused = midtrain("launch", "slurm", "--dry-run", *words, "launch.stop_before_seconds=10", cwd=home)
    assert refused.returncode == 2 and "launch.stop_before_seconds=10 is less than" in refused.stderr
    site = ["launch.image=registry.example.com/m@sha256:" + "ab" * 32, f"launch.claims={{{home}: runs}}"]
    rayjob = midtrain("launch", "kubernetes", "--dry-run", *words, *site, cwd=home)
    assert rayjob.returncode == 0 and "\nkind: RayJob\n" in rayjob.stdout
    refused = midtrain("launch", "kubernetes", "--dry-run", *words, *site, "launch.shm=64Gi", "launch.memory_per_node=32Gi", cwd=home)
    assert (refused.returncode, refused.stdout) == (2, "") and "the RayJob would not work" in refused.stderr
    assert not run_at(home, "dry").exists()


def test_what_the_doctor_finds_bad_is_not_submitted(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "shards", tmp_path / "shards")
    shard = next(path for path in sorted((tmp_path / "shards").rglob("*.bin")))
    os.truncate(shard, shard.stat().st_size // 2)
    said = launch(home, "cut", code=2, changes={"shards.dir": tmp_path / "shards"})
    assert shard.name in said and "Traceback" not in said
    assert not run_at(home, "cut").exists()


def test_a_run_that_is_made_for_somebody_else_to_submit_is_found_once_it_is(home: Path) -> None:
    said = launch(home, "made", "--no-submit")
    file = run_at(home, "made") / "launch" / "1" / "job.sh"
    assert f"{file} is made for {run_at(home, 'made')}, and not submitted" in said
    assert (status(home, "made")["state"], status(home, "made")["platform_state"]) == ("planned", "never submitted")
    with subprocess.Popen(["bash", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        wait_for(lambda: now(home, "made").platform_state == "running", 60)
        assert midtrain("stop", str(run_at(home, "made")), "--now", cwd=home).returncode == 0


def test_a_run_goes_on_with_what_is_changed_of_how_it_is_launched(home: Path) -> None:
    launch(home, "changed", "--no-submit", "launch.environment={KEPT: 'yes', GIVEN: first}")
    assert "is submitted to local" in midtrain("resume", str(run_at(home, "changed")), "launch.environment.GIVEN=second", cwd=home).stdout
    kept = yaml.safe_load((run_at(home, "changed") / "launch" / "2" / "settings.yaml").read_text())
    assert kept["environment"] == {"KEPT": "yes", "GIVEN": "second"}


def test_a_run_whose_job_may_live_elsewhere_goes_on_only_where_somebody_says(home: Path) -> None:
    launch(home, "lost", "--no-submit")
    run = RunDirectory(run_at(home, "lost"))
    end_submission(run, replace(read_submissions(run)[0], job="elsewhere:1"))
    refused = midtrain("resume", str(run.root), cwd=home)
    assert refused.returncode == 6 and f"midtrain resume {run.root} --on local, or elsewhere" in refused.stderr
    gone_on = midtrain("resume", str(run.root), "--on", "local", cwd=home)
    assert gone_on.returncode == 0 and "It is submitted anew, because you have said where to." in gone_on.stderr


@pytest.mark.parametrize(("how", "holds"), [(How.SUBMIT, False), (How.AGAIN, True)])
def test_a_request_to_stop_holds_unless_a_person_has_the_run_go_on(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: How, holds: bool
) -> None:
    monkeypatch.setattr(Local, "submit", lambda platform, job, file: "nowhere:1")
    run = make_run(load_config(overrides(home, **{"run.dir": tmp_path / "run"})))
    request_stop(run, through_attempt=1)
    relaunch(run, [], Console(), platform="local", how=how)
    assert (stop_requested(run, 1) is not None) == holds


def test_a_run_is_submitted_once_told_of_and_finished(home: Path) -> None:
    assert "is submitted to local as job" in launch(home, "once")
    assert "is submitted already, as job" in launch(home, "once")
    assert "holds a run with another config" in launch(home, "once", code=2, changes={"training.learning_rate": 0.5})
    wait_for_state(home, "once", "finished")
    found = status(home, "once")
    assert (found["step"], found["platform"], found["attempts"]) == (10, "local", 1)
    assert found["loss"] > 0 and found["tokens_per_second"] > 0
    assert "is finished: all 10 steps are done. Nothing was submitted." in launch(home, "once")
    assert "is finished" in midtrain("resume", str(run_at(home, "once")), cwd=home).stdout
    said = midtrain("logs", str(run_at(home, "once")), cwd=home).stdout
    assert f"starting {run_at(home, 'once')} with 2 ranks" in said
    assert midtrain("logs", str(run_at(home, "once")), "--rank", "1", cwd=home).returncode == 0
    assert (
        "has no log of rank 7 in attempt 1. Ranks: 0 to 1." in midtrain("logs", str(run_at(home, "once")), "--rank", "7", cwd=home).stderr
    )
    assert (
        "has no logs of attempt 2. Attempts with logs: 1." in midtrain("logs", str(run_at(home, "once")), "--attempt", "2", cwd=home).stderr
    )
    kept = sorted(path.name for path in (run_at(home, "once") / "launch" / "1").iterdir())
    assert kept == ["job.sh", "settings.yaml"]


def test_a_run_saves_and_stops_when_it_is_asked_to_and_goes_on_where_it_was_launched(home: Path) -> None:
    launch(home, "asked", changes={"mixture.total_tokens": 4000 * 128, "mixture.max_epochs": "{spec:900,code:900,docs:900}"})
    wait_for(lambda: now(home, "asked").step > 3, 120)
    done = midtrain("stop", str(run_at(home, "asked")), cwd=home)
    assert done.returncode == 0 and "which is saved" in done.stdout
    wait_for(lambda: now(home, "asked").platform_state == "ended", 20)
    found = status(home, "asked")
    assert (found["state"], found["reason_class"], found["exit_code"]) == ("stopped", "stopped", 0)
    assert "is not running" in midtrain("stop", str(run_at(home, "asked")), cwd=home).stdout
    assert "is submitted to local as job" in midtrain("resume", str(run_at(home, "asked")), cwd=home).stdout
    wait_for(lambda: now(home, "asked").step > found["step"], 120)
    assert midtrain("stop", str(run_at(home, "asked")), "--now", cwd=home).returncode == 0
    wait_for_state(home, "asked", "lost")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["training.seed=1"], "only launch.… can be given here"),
        (["--on", "nowhere"], "nowhere"),
        (["--on", "local", "--until-step", "5"], "--until-step is for a run that goes on in this command"),
    ],
)
def test_what_resume_cannot_take_is_said(home: Path, words: list[str], said: str) -> None:
    run = make_run(load_config(overrides(home, **{"run.dir": run_at(home, f"resume-{len(said)}")})))
    done = midtrain("resume", str(run.root), *(words if words[0] == "--on" else ["--on", "local", *words]), cwd=home)
    assert done.returncode == 2 and said in done.stderr


@pytest.mark.parametrize(("reason_class", "kind"), [("data", DataError), ("numerics", NumericsError)])
def test_another_start_of_the_same_job_does_not_repeat_what_it_cannot_mend(
    home: Path, monkeypatch: pytest.MonkeyPatch, reason_class: str, kind: type[Exception]
) -> None:
    run = make_run(load_config(overrides(home, **{"run.dir": run_at(home, f"final-{reason_class}")})))
    monkeypatch.setenv("MIDTRAIN_JOB", "slurm:1")
    monkeypatch.setenv("MIDTRAIN_RUN", str(run.root))
    attempt = start_attempt(run, world_size=1, from_step=0)
    stop_attempt(run, attempt, Stop(step=0, reason="because.", reason_class=reason_class, exit_code=3))
    with pytest.raises(kind, match="Another start of the same job would end like it"):
        run_job(Console())


def test_another_start_of_a_job_that_a_person_has_stopped_ends_well(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(load_config(overrides(home, **{"run.dir": run_at(home, "by-a-person")})))
    monkeypatch.setenv("MIDTRAIN_JOB", "slurm:1")
    monkeypatch.setenv("MIDTRAIN_RUN", str(run.root))
    stop_attempt(run, start_attempt(run, world_size=1, from_step=0), Stop(step=0, reason="asked", reason_class="stopped", exit_code=0))
    run_job(Console())
    assert "asked" in capsys.readouterr().out


def test_launching_starts_quickly_and_without_torch_ray_or_deepspeed(home: Path) -> None:
    program = "import sys; import orchestrator.commands.launching, orchestrator.platforms.slurm, orchestrator.commands.watching\n"
    program += "import orchestrator.platforms.kubernetes.platform\n"
    program += "print(sorted({'torch', 'ray', 'deepspeed', 'transformers', 'pyarrow', 'kubernetes'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
