"""A whole sweep by its commands, on a tiny model: trials side by side in one Ray cluster, broken, gone on with, reported."""

import csv
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.runs.lines import read_lines
from orchestrator.sweep.directory import SweepDirectory, read_trials
from tests.support.tiny import overrides, write_everything, write_weights
from tests.tracking.inspected import inspect, openings
from tests.whole.test_main_job import MIDTRAIN, midtrain, nothing_is_left_behind

__all__ = ["nothing_is_left_behind"]
ONE_RANK: dict[str, object] = {"run.dir": "null", "model.initialise": "pretrained", "scheduling.world_size": 1, "mixture.spec_share": 0.25}
LONG: dict[str, object] = {"mixture.total_tokens": 100 * 128, "mixture.max_epochs": "{spec:9}", "checkpoints.every_steps": 10}


def words(folder: Path, name: str, *more: str, **changes: object) -> list[str]:
    """Of a sweep. What it varies must not be given twice."""
    varied = {word.partition("=")[0] for word in more}
    given = overrides(folder, **(ONE_RANK | {"run.name": name} | changes))
    return [*(word for word in given if word.partition("=")[0] not in varied and word != "run.dir=null"), *more]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_everything(tmp_path_factory.mktemp("sweeps"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(folder / "cache"))  # torch makes it, here as in midtrain's own processes
        write_weights(folder / "model")  # that all seeds begin from
    done = midtrain("prepare", *overrides(folder), folder=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def shares(folder: Path) -> SweepDirectory:
    """Two shares and their control, then a third share added by the same command with one value more."""
    first = midtrain("sweep", *words(folder, "shares", "mixture.spec_share=0.1,0.25", tracking="offline"), folder=folder)
    assert first.returncode == 0, first.stderr
    sweep = SweepDirectory(folder / "sweeps" / "shares")
    before = ledgers(sweep)
    second = midtrain("sweep", *words(folder, "shares", "mixture.spec_share=0.1,0.25,0.4", tracking="offline"), folder=folder)
    assert second.returncode == 0, second.stderr
    after = ledgers(sweep)
    assert {name: after[name] for name in before} == before, "adding a value has begun a finished trial again"
    return sweep


def ledgers(sweep: SweepDirectory) -> dict[str, list[dict[str, Any]]]:
    return {entry.trial_id: list(read_lines(sweep.run(entry.trial_id).attempts)) for entry in read_trials(sweep)}


def starts(sweep: SweepDirectory) -> dict[str, list[int]]:
    """Trial -> the steps that its attempts began from."""
    return {name: [line["from_step"] for line in lines if line["event"] == "start"] for name, lines in ledgers(sweep).items()}


def states(sweep: SweepDirectory, folder: Path) -> dict[str, str]:
    done = midtrain("status", str(sweep.root), "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    return {trial["trial_id"]: trial["state"] for trial in json.loads(done.stdout)["trials"]}


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.05)


def test_each_trial_is_trained_once_and_they_stood_side_by_side(shares: SweepDirectory, folder: Path) -> None:
    assert set(states(shares, folder).values()) == {"finished"}
    assert [entry.arm for entry in read_trials(shares)] == ["spec", "spec", "control", "spec"]
    assert set(map(tuple, starts(shares).values())) == {(0,)}
    one, other, *_ = ledgers(shares).values()
    assert one[0]["time"] < other[-1]["time"] and other[0]["time"] < one[-1]["time"]


def test_the_base_model_measures_the_same_in_all_of_them(shares: SweepDirectory) -> None:
    before = [next(read_lines(shares.run(entry.trial_id).metrics)) for entry in read_trials(shares)]
    assert len({(line["heldout/spec"], line["heldout/code"], line["heldout/docs"]) for line in before}) == 1


def test_the_same_command_again_finds_nothing_to_do(shares: SweepDirectory, folder: Path) -> None:
    done = midtrain("sweep", *words(folder, "shares", "mixture.spec_share=0.1,0.25,0.4"), folder=folder)
    assert done.returncode == 0 and "nothing is left to train" in done.stdout
    assert "nothing is left to train" in midtrain("resume", str(shares.root), folder=folder).stdout


def test_a_sweep_of_another_model_is_refused_in_its_place(shares: SweepDirectory, folder: Path) -> None:
    changed = words(folder, "shares", "mixture.spec_share=0.1,0.25", **{"evaluation.max_sequences": 4})
    done = midtrain("sweep", *changed, folder=folder)
    assert done.returncode == 2 and "a sweep with another evaluation" in done.stderr


def test_status_tells_trials_progress_and_the_best_so_far(shares: SweepDirectory, folder: Path) -> None:
    done = midtrain("status", str(shares.root), folder=folder)
    assert "shares: 4 trials" in done.stdout
    assert "40 of 40 steps, 4 finished. * Best so far" in done.stdout
    watched = midtrain("status", str(shares.root), "--watch", folder=folder)
    assert watched.stdout.startswith("40 of 40 steps, 4 finished.")


def test_the_report_is_a_page_pictures_and_tables_of_the_same_figures(shares: SweepDirectory, folder: Path) -> None:
    done = midtrain("report", str(shares.root), "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert [point["arm"] for point in summary["frontier"]["points"]] == ["untrained", "control", "spec", "spec", "spec"]
    rows = list(csv.DictReader((shares.root / "ratios.csv").open(newline="")))
    assert len(rows) == 4
    told = {trial["trial_id"]: trial["uptake"] for trial in summary["trials"]}
    assert {row["trial"]: pytest.approx(float(row["uptake"]), abs=1e-6) for row in rows} == told
    losses = list(csv.DictReader((shares.root / "metrics.csv").open(newline="")))
    assert {row["source"] for row in losses} == {"spec", "code", "docs"}
    assert (shares.root / "frontier.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (shares.root / "frontier.svg").read_text(encoding="utf-8")
    assert "https://" not in (shares.root / "report.html").read_text(encoding="utf-8").partition("<script")[0]


def test_in_weights_and_biases_a_sweep_is_a_group_and_each_trial_a_run_with_its_place_on_the_frontier(
    shares: SweepDirectory, folder: Path
) -> None:
    summary = json.loads(midtrain("report", str(shares.root), "--json", folder=folder).stdout)
    told = {trial["trial_id"]: trial for trial in summary["trials"]}
    for entry in read_trials(shares):
        (opening,) = openings(shares.run(entry.trial_id))
        opened = inspect(opening)
        (known,) = opened.of("run")
        values = [f"spec_share={entry.setting['mixture.spec_share']}"] if entry.arm == "spec" else []
        assert (known["run_group"], known["display_name"]) == ("shares", entry.trial_id)
        assert known["tags"] == [entry.arm, *values, "seed=0"]
        place = {key: opened.whole["summary"][f"frontier/{key}"] for key in ("uptake", "forgetting", "spec_share")}
        assert place == pytest.approx({key: told[entry.trial_id][key] for key in place})


def test_a_trial_that_fails_for_good_stops_no_other_and_is_tried_again_when_asked(folder: Path) -> None:
    numerics = {"training.numerics.nonfinite": "stop", "scheduling.budgets.numerics": 0}
    command = words(folder, "failing", "training.learning_rate=0.01,1e30", "sweep.controls=false", **numerics)
    done = midtrain("sweep", *command, folder=folder)
    assert done.returncode == 3, done.stderr
    assert "1 trial has failed" in done.stderr and "--retry-failed" in done.stderr
    sweep = SweepDirectory(folder / "sweeps" / "failing")
    assert sorted(states(sweep, folder).values()) == ["failed", "finished"]
    begun = starts(sweep)
    left = midtrain("resume", str(sweep.root), folder=folder)
    assert left.returncode == 0 and "is left alone, as it was failed at step" in left.stderr
    assert starts(sweep) == begun
    again = midtrain("resume", str(sweep.root), "--retry-failed", folder=folder)
    assert again.returncode == 3
    assert sorted(len(attempts) for attempts in starts(sweep).values()) == [1, 2]
    page = midtrain("report", str(sweep.root), folder=folder)
    assert page.returncode == 0, page.stderr


def newest_step(sweep: SweepDirectory, trial: str) -> int:
    return max((line["step"] for line in read_lines(sweep.run(trial).metrics)), default=0)


def have_begun(sweep: SweepDirectory, past: int) -> bool:
    """Whether both of its trials are past a step."""
    entries = read_trials(sweep) if sweep.exists else []
    return len(entries) == 2 and all(newest_step(sweep, entry.trial_id) > past for entry in entries)


def test_a_command_that_is_killed_or_asked_to_stop_loses_no_more_than_the_steps_since_the_last_checkpoint(folder: Path) -> None:
    sweep = SweepDirectory(folder / "sweeps" / "broken")
    command = ["sweep", *words(folder, "broken", "mixture.spec_share=0.1,0.25", "sweep.controls=false", **LONG)]
    with (folder / "broken.log").open("wb") as log:
        process = subprocess.Popen([MIDTRAIN, *command], cwd=folder, env=os.environ | {"HF_HUB_OFFLINE": "1"}, stdout=log, stderr=log)
    wait_for(lambda: have_begun(sweep, past=15))
    process.send_signal(signal.SIGKILL)
    process.wait()
    made = {entry.trial_id: newest_step(sweep, entry.trial_id) for entry in read_trials(sweep)}
    wait_for(lambda: not set(states(sweep, folder).values()) & {"running", "starting"})  # they save, as nobody is left to lead them
    left = max(newest_step(sweep, name) for name in made)
    going_on = [MIDTRAIN, "resume", str(sweep.root)]
    stopping = subprocess.Popen(going_on, cwd=folder, env=os.environ | {"HF_HUB_OFFLINE": "1"}, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: have_begun(sweep, past=left + 3))
    stopping.send_signal(signal.SIGINT)
    _, said = stopping.communicate(timeout=60)
    assert stopping.returncode == 75
    assert "every trial that ran is saved. Go on with: midtrain resume" in said
    done = midtrain("resume", str(sweep.root), folder=folder)
    assert done.returncode == 0, done.stderr
    assert set(states(sweep, folder).values()) == {"finished"}
    for name, lines in ledgers(sweep).items():
        begun = {line["attempt"]: line["from_step"] for line in lines if line["event"] == "start"}
        saved = {line["attempt"]: line["step"] for line in lines if line["event"] == "stop" and "which is saved" in line["reason"]}
        assert begun[1] == 0 and begun[2] >= made[name] // 10 * 10
        assert {attempt: begun[attempt + 1] for attempt in saved} == saved


def test_a_sampler_proposes_and_is_told(folder: Path) -> None:
    of_sampler = ["mixture.spec_share=interval(0.05,0.5)", "sweep.sampler={settings:2,random_settings:1}"]
    done = midtrain("sweep", *words(folder, "sampled", *of_sampler, "sweep.controls=false"), folder=folder)
    assert done.returncode == 0, done.stderr
    sweep = SweepDirectory(folder / "sweeps" / "sampled")
    assert list(states(sweep, folder).values()) == ["finished"] * 2
    assert "nothing is left to train" in midtrain("resume", str(sweep.root), folder=folder).stdout


def test_a_trial_that_others_dominate_is_stopped_early_and_stops_no_other(folder: Path) -> None:
    varied = ["training.learning_rate=0.01,1e-9", "sweep.seeds=[0,1]"]  # side by side: first those of one seed, then those of the other
    changes = {"mixture.total_tokens": 480 * 128, "mixture.max_epochs": "{spec:99,code:99,docs:99}", "checkpoints.every_steps": 120}
    measured = {"evaluation.every_steps": 120, "evaluation.max_sequences": 2, "sweep.early_stopping": "{rule:halving}"}
    command = words(folder, "pruned", *varied, "sweep.controls=false", **changes, **measured)
    done = midtrain("sweep", *command, folder=folder)
    assert done.returncode == 0, done.stderr
    assert "4 trials are done, 1 of them stopped early" in done.stdout
    sweep = SweepDirectory(folder / "sweeps" / "pruned")
    expected = ["finished", "finished", "finished", "pruned"]
    assert list(states(sweep, folder).values()) == expected
    report = midtrain("report", str(sweep.root), "--json", folder=folder)
    assert [trial["state"] for trial in json.loads(report.stdout)["trials"]] == expected
    assert "Early stopping spared" in (sweep.root / "report.html").read_text(encoding="utf-8")
