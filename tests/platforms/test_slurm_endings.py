"""How the batch script ends: which exit codes have the job requeued, how often, and when it is not its job any more.

It runs in bash, with scripts in the place of Slurm's commands; what a real Slurm makes of it is in tests/clusters.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.platforms.slurm import SCRIPT, Slurm
from tests.platforms.test_slurm_script import job

End = Callable[..., tuple[int, str]]
SRUN = """
case "$*" in
  *"midtrain job"*)
    [ -z "$BEGINS" ] || echo "{\\"cluster\\": \\"$MIDTRAIN_CLUSTER\\"}" >> "$MIDTRAIN_RUN/attempts.jsonl"
    sleep 0.3; exit "$CODE" ;;
  *) [ -n "$LOST" ] || exec cat ;;
esac
"""
SCONTROL = """
case "$*" in
  *hostnames*) echo n1 ;;
  *requeue*) echo "$*" > requeued ;;
  *) echo "JobId=7 JobState=$STATE Requeue=1 Restarts=$RESTARTS BatchFlag=1" ;;
esac
"""


@pytest.fixture
def end(tmp_path: Path) -> End:
    """Runs the script; its exit code, and what Slurm was asked to requeue."""
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL), ("midtrain", ""), ("python", "")):
        (tmp_path / name).write_text(f"#!/bin/bash\ncd {tmp_path}\n{text}\n")
        (tmp_path / name).chmod(0o755)
    run = tmp_path / "run"
    text = Slurm().render(job("container=null", "setup=[':']", "max_restarts=9", world_size=1, gpus=0, runs=(str(run),)))[SCRIPT]

    def finish(
        code: int, *, restarts: int = 0, state: str = "RUNNING", lost: bool = False, begins: bool = True, task: str = ""
    ) -> tuple[int, str]:
        given = {"CODE": code, "STATE": state, "RESTARTS": restarts, "LOST": "yes" * lost, "BEGINS": "yes" * begins}
        slurm = {"SLURM_JOB_ID": 7, "SLURM_JOB_NODELIST": "n1", "SLURM_RESTART_COUNT": restarts}
        array = {"SLURM_ARRAY_JOB_ID": 6, "SLURM_ARRAY_TASK_ID": task} if task else {}
        environment = {name: str(value) for name, value in (given | slurm | array).items()}
        done = subprocess.run(
            ["bash", "-c", text], env=os.environ | environment | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}, timeout=60, check=False
        )
        requeued = tmp_path / "requeued"
        return done.returncode, requeued.read_text().strip() if requeued.exists() else ""

    return finish


@pytest.mark.parametrize("code", [75, 143])
def test_what_was_asked_to_stop_goes_on(end: End, code: int) -> None:
    assert end(code) == (0, "requeue 7")


@pytest.mark.parametrize("code", [0, 1, 2, 3, 5, 6])
def test_what_has_ended_for_good_does_not(end: End, code: int) -> None:
    assert end(code) == (code, "")


def test_a_task_of_an_array_goes_on_alone(end: End) -> None:
    assert end(75, task="0") == (0, "requeue 6_0")


@pytest.mark.parametrize("state", ["COMPLETING", "PENDING", "CANCELLED"])
def test_a_job_that_slurm_has_taken_back_is_left_alone(end: End, state: str) -> None:
    assert end(75, state=state) == (75, "")


def test_restarts_are_limited_and_those_of_nodes_where_nothing_begins_are_few(end: End, tmp_path: Path) -> None:
    assert end(75, restarts=8) == (0, "requeue 7")
    (tmp_path / "requeued").unlink()
    assert end(75, restarts=9) == (75, "")
    assert "launch.max_restarts=9 are spent" in (tmp_path / "run" / "logs" / "job.log").read_text()
    assert end(75, restarts=5, begins=False) == (0, "requeue 7"), "something has begun but for this once"
    (tmp_path / "requeued").unlink()
    (tmp_path / "run" / "attempts.jsonl").write_text('{"cluster": "7.0"}\n{"cluster": "6.4"}\n')
    assert end(75, restarts=5, begins=False) == (75, "")
    assert "five starts in a row, and no attempt began" in (tmp_path / "run" / "logs" / "job.log").read_text()


def test_a_step_of_ray_that_went_down_takes_the_run_back(end: End) -> None:
    assert end(1, lost=True, begins=False) == (0, "requeue 7")
