"""The whole of midtrain by its commands, on a tiny model: two ranks under Ray, real DeepSpeed, real files."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from orchestrator.checkpoints.state_file import STATE
from orchestrator.checkpoints.store import committed_checkpoints
from orchestrator.runs.lines import read_lines
from tests.support.tiny import overrides, write_everything
from tests.tracking.stand_in import stand_in

MIDTRAIN = str(Path(sys.executable).with_name("midtrain"))
LONG: dict[str, object] = {"mixture.total_tokens": 300 * 128, "mixture.max_epochs": "{spec:2}", "checkpoints.every_steps": 50}
SECRET = "wandbkeythatmustnotshow" * 2  # as long as one that W&B takes


def midtrain(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"WANDB_API_KEY": SECRET, "HF_HUB_OFFLINE": "1"}
    return subprocess.run([MIDTRAIN, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=280)


def as_json(*words: str, folder: Path) -> Any:
    done = midtrain(*words, folder=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """No process, no shared memory, no temporary directory of ours or of Ray's outlives the tests."""

    def traces() -> set[str]:
        named = ((process.pid, process.info["name"] or "") for process in psutil.process_iter(["name"]))
        processes = {f"process {pid} {name}" for pid, name in named if name.startswith(("ray::", "raylet", "gcs_"))}
        patterns = ("ray*", "midtrain-*", "*wandb*", "torchinductor*", "pymp-*")
        places = [*Path("/dev/shm").glob("*"), *(place for pattern in patterns for place in Path("/tmp").glob(pattern))]
        return processes | {str(place) for place in places}

    before = traces()
    yield
    deadline = time.monotonic() + 30
    while (left := traces() - before) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == set()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_everything(tmp_path_factory.mktemp("whole"))
    done = midtrain("prepare", *overrides(folder), folder=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    done = midtrain("train", *overrides(folder, tracking="offline"), folder=folder)
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "tiny"


def state(run: Path) -> dict[str, bytes]:
    """All that the last checkpoint holds of the ranks: weights and moments."""
    directory = list(committed_checkpoints(run / "checkpoints"))[-1].directory
    return {path.name: path.read_bytes() for path in sorted((directory / STATE).iterdir())}


def copied(run: Path, name: str) -> Path:
    """A copy of a run under another name, as if it had been made there."""
    target = run.with_name(name)
    shutil.copytree(run, target)
    return target


def test_the_plan_for_scripts_has_every_figure(folder: Path) -> None:
    plan = as_json("plan", *overrides(folder), "--json", folder=folder)
    assert {key: plan[key] for key in ("sequence_length", "sequences_per_step", "steps", "tokens")} == {
        "sequence_length": 32,
        "sequences_per_step": 4,
        "steps": 10,
        "tokens": 1280,
    }
    spec = plan["sources"][0]
    expected = {"name": "spec", "role": "spec", "sequences": 10, "trained_tokens": 320, "share": 0.25}
    assert expected.items() <= spec.items()
    assert {"unique_tokens", "epochs", "first_step", "last_step", "updates"} <= spec.keys()


def test_every_logged_step_has_its_losses_and_the_realised_tokens_are_those_of_the_plan(run: Path) -> None:
    lines = list(read_lines(run / "metrics.jsonl"))
    assert [line["step"] for line in lines] == list(range(11))
    for line in lines[1:]:
        measured = {"step_seconds", "data_wait_seconds", "tokens_per_second", "memory_bytes", "tflops_per_rank"}
        assert {"tokens", "loss", "lr", "grad_norm"} | measured <= line.keys()
        assert abs(line["tokens/spec"] / 32 - 0.25 * 4 * line["step"]) <= 1
        assert line["tokens"] == line["step"] * 128 == sum(line[f"tokens/{name}"] for name in ("spec", "code", "docs"))
    assert [line["step"] for line in lines if "heldout/spec" in line] == [0, 5, 10]
    assert lines[-1]["heldout/spec"] < lines[0]["heldout/spec"] - 0.5
    assert 0 < lines[-1]["heldout_se/spec"] < 0.5


def test_the_epochs_and_updates_of_each_source_are_those_of_the_plan(folder: Path, run: Path) -> None:
    *_, last = read_lines(run / "metrics.jsonl")
    for source in as_json("plan", *overrides(folder), "--json", folder=folder)["sources"]:
        assert last[f"epochs/{source['name']}"] == pytest.approx(source["epochs"])
        assert last[f"updates/{source['name']}"] == source["updates"]


def test_the_report_and_the_status_for_scripts_have_every_figure(folder: Path, run: Path) -> None:
    report = as_json("report", str(run), "--json", folder=folder)
    keys = {"model", "steps", "tokens", "heldout", "realised_share", "tokens_per_second", "data_wait_share", "checkpoint_stall_seconds"}
    assert keys <= report.keys()
    assert report["heldout"]["spec"]["after"] < report["heldout"]["spec"]["before"]
    assert report["realised_share"] == pytest.approx({"spec": 0.25, "code": 0.25, "docs": 0.5})
    status = as_json("status", str(run), "--json", folder=folder)
    assert {"state": "finished", "step": 10, "steps": 10, "attempts": 1, "reason_class": "done", "exit_code": 0}.items() <= status.items()


def half_done(run: Path, name: str) -> Path:
    """A copy of a run as if it had been killed after its first checkpoint."""
    broken = copied(run, name)
    config = (broken / "config.yaml").read_text()
    (broken / "config.yaml").write_text(config.replace(str(run), str(broken)))
    (broken / "checkpoints" / "step_00000010" / "COMMIT").unlink()
    (broken / "attempts.jsonl").write_text((broken / "attempts.jsonl").read_text().splitlines(keepends=True)[0])
    return broken


def test_a_run_that_is_amended_goes_on_with_the_new_mixture_and_replay_tells_what_the_ranks_trained(folder: Path, run: Path) -> None:
    new = "sources.new={role: general, paths: [new.jsonl]}"
    (folder / "new.jsonl").write_text("".join(json.dumps({"text": f"the keeper asks {i} locks twice"}) + "\n" for i in range(90)))
    assert midtrain("prepare", *overrides(folder), new, folder=folder).returncode == 0
    changed = half_done(run, "amended")
    plan = as_json(
        "amend", str(changed), "--from-step", "6", new, "sources.code.weight=0", "mixture.spec_share=0.5", "--json", folder=folder
    )
    assert [(stage["first_step"], stage["last_step"]) for stage in plan["stages"]] == [(1, 5), (6, 10)]

    done = midtrain("resume", str(changed), folder=folder)
    assert done.returncode == 0, done.stderr
    lines = {line["step"]: line for line in read_lines(changed / "metrics.jsonl")}
    names = ("spec", "code", "docs", "new")
    assert [lines[10][f"tokens/{name}"] - lines[5].get(f"tokens/{name}", 0) for name in names] == [320, 0, 224, 96]
    for step in (5, 6, 10):
        trained = dict.fromkeys(names, 0)
        for sequence in as_json("replay", str(changed), "--step", str(step), "--json", folder=folder)["sequences"]:
            trained[sequence["source"]] += sum(document["tokens"] for document in sequence["documents"])
        before = lines[step - 1]
        assert trained == {name: lines[step].get(f"tokens/{name}", 0) - before.get(f"tokens/{name}", 0) for name in names}


def test_a_run_that_is_resumed_in_the_middle_ends_with_the_same_weights_to_the_bit(folder: Path, run: Path) -> None:
    broken = half_done(run, "broken")
    assert as_json("status", str(broken), "--json", folder=folder)["state"] == "lost"

    done = midtrain("resume", str(broken), folder=folder)
    assert done.returncode == 0, done.stderr
    assert "from step 5" in done.stderr
    assert state(broken) == state(run)
    steps = [line["step"] for line in read_lines(broken / "metrics.jsonl")]
    assert steps == list(range(11))
    timed = {"step_seconds", "data_wait_seconds", "tokens_per_second", "tflops_per_rank", "memory_bytes"}
    for straight, resumed in zip(read_lines(run / "metrics.jsonl"), read_lines(broken / "metrics.jsonl"), strict=True):
        assert {k: v for k, v in straight.items() if k not in timed} == {k: v for k, v in resumed.items() if k not in timed}
    assert "finished" in midtrain("resume", str(broken), folder=folder).stdout


def test_without_a_budget_a_killed_rank_ends_the_run_with_a_reason_and_resume_goes_on_from_its_checkpoint(folder: Path) -> None:
    killed = folder / "runs" / "killed"
    with training(killed, folder, **{"scheduling.budgets.infrastructure": 0}) as driver:
        ranks = [p for p in psutil.Process(driver.pid).children(recursive=True) if "ray::RankProcess" in " ".join(p.cmdline())]
        ranks[0].send_signal(signal.SIGKILL)
        output, _ = driver.communicate(timeout=120)
    assert driver.returncode == 6, output
    assert "Traceback" not in output
    status = as_json("status", str(killed), "--json", folder=folder)
    assert {"state": "stopped", "reason_class": "infrastructure", "exit_code": 6}.items() <= status.items()

    done = midtrain("resume", str(killed), folder=folder)
    assert done.returncode == 0, done.stderr
    assert [line["step"] for line in read_lines(killed / "metrics.jsonl")] == list(range(301))
    assert as_json("status", str(killed), "--json", folder=folder)["attempts"] == 2


def test_a_run_that_is_asked_to_stop_says_so_and_asks_to_be_requeued(folder: Path) -> None:
    asked = folder / "runs" / "asked"
    with training(asked, folder) as driver:
        driver.send_signal(signal.SIGTERM)
        output, _ = driver.communicate(timeout=120)
    assert driver.returncode == 75, output
    status = as_json("status", str(asked), "--json", folder=folder)
    assert {"state": "stopped", "reason_class": "preempted", "exit_code": 75}.items() <= status.items()
    behind = midtrain("resume", str(asked), "--until-step", "5", folder=folder)
    assert (behind.returncode, f"has a checkpoint of step {status['step']} already" in behind.stderr) == (2, True), behind.stderr


def test_a_run_that_starts_from_a_checkpoint_of_another_has_its_weights_and_moments(folder: Path, run: Path) -> None:
    (start,) = (checkpoint for checkpoint in committed_checkpoints(run / "checkpoints") if checkpoint.step == 10)
    other = folder / "runs" / "other"
    words = {"run.dir": other, "model.start_from": start.directory, "mixture.total_tokens": 5 * 128, "scheduling.world_size": 1}
    done = midtrain("train", *overrides(folder, **words), folder=folder)
    assert done.returncode == 0, done.stderr
    ended, (began, *_) = list(read_lines(run / "metrics.jsonl"))[-1], read_lines(other / "metrics.jsonl")
    for source in ("spec", "code", "docs"):
        assert began[f"heldout/{source}"] == pytest.approx(ended[f"heldout/{source}"], abs=1e-6)
    (last,) = (checkpoint for checkpoint in committed_checkpoints(other / "checkpoints") if checkpoint.step == 5)
    assert last.manifest["updates"] == start.manifest["updates"] + 5
    refused = midtrain("train", *overrides(folder, **words | {"run.dir": folder / "no", "model.start_from": folder}), folder=folder)
    assert (refused.returncode, "is not a checkpoint: it has no COMMIT" in refused.stderr) == (2, True), refused.stderr


def test_resuming_is_proved_on_ones_own_configuration_also_at_another_world_size(folder: Path) -> None:
    words = ("--steps", "4", "--more", "3", "--world-size", "1", "--json")
    proof = as_json("prove-resume", *overrides(folder, **{"run.dir": folder / "runs" / "proof"}), *words, folder=folder)
    assert proof["same"] is True
    assert (proof["world_size"], proof["resumed_world_size"], proof["bound"], proof["kept"]) == (2, 1, 1e-5, None)
    assert [row["step"] for row in proof["steps"]] == list(range(1, 8))
    assert all(row["same_data"] for row in proof["steps"])
    assert {row["difference"] for row in proof["steps"][:4]} == {0.0}
    assert not list((folder / "runs").glob(".prove-resume*"))


def test_a_wandb_that_hangs_changes_neither_the_weights_nor_the_exit_code(folder: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirrored = folder / "runs" / "mirrored"
    with stand_in() as service:
        service.behaviour = "hangs"
        monkeypatch.setenv("WANDB_BASE_URL", service.url)
        words = overrides(folder, **{"tracking": "online", "tracking.finish_seconds": 1, "run.dir": mirrored})
        done = midtrain("train", *words, folder=folder)
        assert service.requests > 0
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert done.stderr.count("W&B is behind") == 1
    assert f"midtrain sync {mirrored}" in done.stderr
    assert state(mirrored) == state(run)


def test_no_secret_of_the_environment_is_written_anywhere(folder: Path, run: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any("wandb" in path.parts for path in files)
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


@contextmanager
def training(run: Path, folder: Path, **changes: object) -> Iterator[subprocess.Popen[str]]:
    """A long run, once it is past a checkpoint; it and its children are ended with the block, whatever happens."""
    words = [MIDTRAIN, "train", *overrides(folder, **LONG, **{"run.dir": run}, **changes)]
    driver = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_for(lambda: any(line["step"] >= 60 for line in read_lines(run / "metrics.jsonl")) or driver.poll() is not None)
        yield driver
    finally:
        if driver.poll() is None:
            for process in psutil.Process(driver.pid).children(recursive=True):
                process.kill()
            driver.kill()
        driver.wait()


def wait_for(condition: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.05)
