"""Runs on a real Slurm, left alone and broken."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from orchestrator.runs.lines import read_lines
from orchestrator.sweep.directory import SweepDirectory, read_trials
from tests.chaos.breaking import STEPS, finishes, last_step, wait_for
from tests.clusters.launched import GRACE_SECONDS, attempts, log, midtrain, status, wait_for_attempt, wait_for_state, wait_for_step, words
from tests.support.waiting import gone

pytestmark = pytest.mark.usefixtures("slurm")
HOSTILE = """it's $(touch /tmp/oops) `id`; "x" & #y"""
SITE: dict[str, object] = {
    "launch.ranks_per_node": 1,
    "launch.cpus_per_node": 2,
    "launch.gres": "null",
    "launch.stop_before_seconds": GRACE_SECONDS + 30,
    "launch.time_limit": "0:30:00",
}


def launch(run: Path, folder: Path, *options: str, changes: Mapping[str, object] | None = None, slow: bool = False, code: int = 0) -> str:
    return midtrain("launch", "slurm", *site_words(run, folder, changes), *options, folder=folder, slow=slow, code=code)


def site_words(run: Path, folder: Path, changes: Mapping[str, object] | None = None) -> list[str]:
    return words(run, folder, SITE | {"launch.shared_paths": f"[{folder},{sys.prefix}]"} | dict(changes or {}))


def slurm(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout


def job_id(said: str) -> str:
    found = re.search(r"as job (\S+?)[.:]", said)
    assert found, said
    return found[1]


def test_a_run_that_is_preempted_goes_on_and_again_when_a_node_is_powered_off(folder: Path, reference: Path, slurm_lab: str) -> None:
    run = folder / "runs" / "preempted"
    (folder / "fault").touch()
    number = job_id(launch(run, folder, slow=True, changes={"launch.partition": "low"}))
    wait_for_step(run, 5)
    slurm("sbatch", "--partition=main", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=sleep 3")
    wait_for_attempt(run, 2)
    assert attempts(run)[0] == (f"slurm:{number}", "preempted")
    wait_for_step(run, last_step(run) + 2)
    subprocess.run([slurm_lab, "poweroff", "n2"], check=True, timeout=60)
    try:
        wait_for_state(run, "queued")
    finally:
        subprocess.run([slurm_lab, "poweron", "n2"], check=True, timeout=60)
    (folder / "fault").unlink()
    wait_for_state(run, "finished")
    assert {job for job, _ in attempts(run)} == {f"slurm:{number}"}
    finishes(run, reference)


def test_a_run_that_is_longer_than_its_time_limit_goes_on(folder: Path, reference: Path) -> None:
    run = folder / "runs" / "limited"
    (folder / "fault").touch()
    launch(run, folder, slow=True, changes={"launch.time_limit": "0:02:00"})
    wait_for_attempt(run, 2)
    (folder / "fault").unlink()
    wait_for_state(run, "finished")
    *before, last = [ending for _, ending in attempts(run)]
    assert (set(before), last) == ({"preempted"}, "done")
    assert "requeued" in log(run)
    finishes(run, reference)


def test_an_attempt_whose_slurmd_is_dead_is_fenced_off(folder: Path, reference: Path, slurm_lab: str) -> None:
    run = folder / "runs" / "fenced"
    (folder / "fault").touch()
    launch(run, folder, slow=True, changes={"launch.ranks_per_node": 2})
    wait_for_step(run, 5)
    (node,) = {line["host"] for line in read_lines(run / "attempts.jsonl") if line["event"] == "start"}
    (slurmd,) = (process for process in psutil.process_iter(["cmdline"]) if (process.info["cmdline"] or [])[-2:] == ["-N", node])
    old = [process for process in psutil.Process(slurmd.ppid()).children(recursive=True) if process != slurmd]
    assert len(old) > 5
    slurmd.kill()
    try:
        wait_for_attempt(run, 2)  # on the other node, while the old one works on
        (folder / "fault").unlink()
        wait_for_state(run, "finished")
        assert [ending for _, ending in attempts(run)] == ["none", "done"]
        assert "fencing it off" in log(run)
        wait_for(lambda: all(gone(process) for process in old if is_ours(process)), 60, every=0.5)
    finally:
        subprocess.run([slurm_lab, "poweron", node], check=True, timeout=60)
    finishes(run, reference)


def is_ours(process: psutil.Process) -> bool:
    """Whether a process that may be gone is the run's or Ray's, not Slurm's."""
    try:
        return "MIDTRAIN_RUN" in process.environ()
    except psutil.Error:
        return False


def test_a_second_launch_attaches_and_a_run_that_is_asked_to_stop_saves_and_is_resumed_and_cancelled_and_each_is_said(
    folder: Path, slurm_lab: str
) -> None:
    run = folder / "runs" / HOSTILE / "stopped"
    changes = {"run.dir": "'" + str(run).replace("'", "\\'") + "'"}
    (folder / "fault").touch()
    first = job_id(launch(run, folder, slow=True, changes=changes))
    assert f"is submitted already, as job {first}" in launch(run, folder, slow=True, changes=changes)
    assert "holds a run with another config" in launch(run, folder, code=2, changes=changes | {"training.learning_rate": 0.02})
    token = token_of(run)
    wait_for_step(run, 3)
    assert "which is saved" in midtrain("stop", str(run), folder=folder)
    assert attempts(run) == [(f"slurm:{first}", "stopped")]  # and it is not requeued:
    second = job_id(midtrain("resume", str(run), folder=folder, slow=True))  # waits until the job before is gone
    wait_for(lambda: sum(line["event"] == "placed" for line in read_lines(run / "attempts.jsonl")) == 2, every=0.2)
    slurm("scancel", second)
    wait_for_state(run, "stopped", "lost")
    assert (status(run).platform_state or "").startswith("CANCELLED")
    assert [job for job, _ in attempts(run)] == [f"slurm:{first}", f"slurm:{second}"]
    assert [path for path in run.rglob("*") if path.is_file() and token in path.read_bytes()] == []
    assert not Path("/tmp/oops").exists(), "a part of the directory's name was run"


def token_of(run: Path) -> bytes:
    """The token of a run's Ray cluster, which no command line has."""
    found: set[str] = set()

    def look() -> bool:
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                variables = process.environ()
                if variables.get("MIDTRAIN_RUN") == str(run) and "RAY_AUTH_TOKEN" in variables:
                    found.add(variables["RAY_AUTH_TOKEN"])
        return bool(found)

    wait_for(look, 120, every=0.2)
    wait_for_step(run, 1)
    (token,) = found
    lines = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert len(token) == 64 and "gcs_server" in lines and token not in lines
    return token.encode()


def test_a_controller_that_is_down_is_said_and_asked_again(folder: Path, slurm_lab: str) -> None:
    run, another = folder / "runs" / "silent", folder / "runs" / "refused"
    (folder / "fault").touch()
    launch(run, folder, slow=True)
    time.sleep(6)  # the controller writes down what it knows every five seconds
    with without_controller(slurm_lab), ThreadPoolExecutor() as side_by_side:  # each asks again and again
        told = side_by_side.submit(status, run)
        assert "controller does not answer" in launch(another, folder, code=6)
        assert not another.exists()
        assert (told.result().platform_state or "").startswith("unknown")
    assert (status(run).platform_state or "").startswith(("PENDING", "RUNNING"))
    (folder / "fault").unlink()
    wait_for_state(run, "finished")
    assert "is finished" in launch(run, folder)


@contextmanager
def without_controller(slurm_lab: str) -> Iterator[None]:
    subprocess.run([slurm_lab, "poweroff", "slurmctld"], check=True, timeout=60)
    try:
        yield
    finally:
        subprocess.run([slurm_lab, "poweron", "slurmctld"], check=True, timeout=60)
    wait_for(nodes_have_answered, 60, every=0.5)


def nodes_have_answered() -> bool:
    said = subprocess.run(["sinfo", "--noheader", "--format=%t"], capture_output=True, text=True, timeout=30, check=False).stdout.split()
    return bool(said) and set(said) <= {"idle", "alloc", "mix", "comp"}


def test_an_array_runs_as_many_side_by_side_on_a_node_as_its_cap_says(folder: Path) -> None:
    run = folder / "runs" / "several"
    changes: dict[str, object] = {
        "scheduling.world_size": 1,
        "launch.at_once": 2,
        "launch.exclude": "[n2]",
        "mixture.total_tokens": 12 * 128,
        "evaluation.every_steps": 12,
    }
    shares = "mixture.spec_share=0.1,0.2,0.3"
    sweep = SweepDirectory(folder / "sweeps" / "several")
    changes |= {"checkpoints.every_steps": 12, "sweep.dir": sweep.root, "sweep.controls": "false"}
    launch(run, folder, "--sweep", shares, changes=changes)
    runs = [sweep.run(entry.trial_id).root for entry in read_trials(sweep)]
    most = 0

    def are_done() -> bool:
        nonlocal most
        states = [status(one).state for one in runs]
        most = max(most, sum(state in ("starting", "running") for state in states))
        return states == ["finished"] * 3

    wait_for(are_done, 360, every=0.5)
    assert most == 2
    assert {line["host"] for one in runs for line in read_lines(one / "attempts.jsonl") if line["event"] == "start"} == {"n1"}
    assert [last_step(one) for one in runs] == [12] * 3
    assert STEPS > 12


def test_the_doctor_looks_at_the_nodes_that_a_run_would_have(folder: Path) -> None:
    run = folder / "runs" / "examined"
    said = midtrain("doctor", "--on", "slurm", "--json", *site_words(run, folder), folder=folder)
    report = json.loads(said[said.index("{\n") : said.rindex("}") + 1])
    found = {finding["check"]: finding for finding in report["findings"]}
    assert report["is_good"]
    assert "2 ranks on 2 nodes" in found["all-reduce of 16 MiB"]["value"]
    hosts = {finding["where"].split()[0] for finding in report["findings"] if finding["check"] == "/dev/shm"}
    assert len(hosts) >= 2
    assert [path.name for path in (folder / "runs").glob("*examined*")] + list((folder / "runs").glob("doctor-*")) == []


def test_the_doctor_says_that_a_job_cannot_be_had(folder: Path) -> None:
    words_of_it = site_words(folder / "runs" / "examined", folder, {"launch.partition": "nowhere"})
    assert "there is no such partition" in midtrain("doctor", "--on", "slurm", *words_of_it, folder=folder, code=2)
