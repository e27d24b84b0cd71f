"""Slurm's commands: what they say is read, what they do not say is waited for, what would change their meaning is kept from them."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from orchestrator.errors import ConfigError, InfrastructureError
from orchestrator.platforms import slurm, slurm_client
from orchestrator.platforms.job import JobState
from orchestrator.platforms.profiles import load_settings
from orchestrator.platforms.slurm import SCRIPT, Slurm
from orchestrator.platforms.slurm_client import SilentError, ask, tell
from orchestrator.platforms.slurm_states import read_accounted, read_queued
from orchestrator.platforms.submissions import Submission, begin_submission, end_submission
from orchestrator.runs.attempts import JOB, Stop, start_attempt, stop_attempt
from orchestrator.runs.directory import RunDirectory
from tests.platforms.test_slurm_script import job

Stand = Callable[[str, str], None]


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stand:
    """Puts scripts in the place of Slurm's commands; what a real Slurm does is in tests/clusters."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(slurm_client, "_AGAIN_SECONDS", 0.01)

    def put(name: str, script: str) -> None:
        (tmp_path / name).write_text(f"#!/bin/bash\ncd {tmp_path}\n{script}\n")
        (tmp_path / name).chmod(0o755)

    return put


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ("7|key|RUNNING|None|n[1-2]", JobState(phase="running", word="RUNNING", nodes="n[1-2]")),
        ("7|key|PENDING|Priority|", JobState(phase="waiting", word="PENDING", why="Priority")),
        ("7|key|COMPLETING|None|n1", JobState(phase="running", word="COMPLETING", nodes="n1")),
        ("7|key|NODE_FAIL|None|n1", JobState(phase="ended", word="NODE_FAIL", nodes="n1", given_up=True)),
        ("7|other|RUNNING|None|n1", None),
        ("8|key|RUNNING|None|n1", None),
        ("CLUSTER: a", None),
        ("", None),
    ],
)
def test_a_line_of_squeue_tells_of_a_job_with_its_key(line: str, state: JobState | None) -> None:
    assert read_queued(f"\n{line}\n", {"7": "key"}).get("7") == state


def test_the_last_start_of_a_job_is_what_the_accounting_says_of_it() -> None:
    said = "7|PREEMPTED|None|n1||midtrain-a\n7|COMPLETED|None|n2|k7|midtrain-a|b\n8_1|CANCELLED by 0|None|n1||midtrain-c\nnonsense\n"
    found = read_accounted(said, {"7": "k7", "8_1": "k8"})
    assert found["7"] == JobState(phase="ended", word="COMPLETED", nodes="n2")
    assert (found["8_1"].word, found["8_1"].given_up) == ("CANCELLED by 0", False)
    assert read_accounted("7|PREEMPTED|None|n1||midtrain-a", {"7": "k7"})["7"].given_up


def test_a_strangers_job_of_the_same_id_is_not_what_the_accounting_says_of_ours() -> None:
    said = "7|RUNNING|None|n1||theirs\n8|RUNNING|None|n1|another key|midtrain-a\n"
    assert read_accounted(said, {"7": "k7", "8": "k8"}) == {}


def test_a_controller_that_does_not_answer_is_asked_again(stand_in: Stand) -> None:
    stand_in(
        "sinfo", "echo x >> tries; [ $(wc -l < tries) -ge 3 ] && echo up && exit; echo 'Unable to contact slurm controller' >&2; exit 1"
    )
    assert ask("sinfo") == "up\n"


def test_one_that_never_answers_is_an_error_of_infrastructure(stand_in: Stand) -> None:
    stand_in("sinfo", "echo 'slurm_load_partitions: Unable to contact slurm controller (connect failure)' >&2; exit 1")
    with pytest.raises(SilentError, match="controller does not answer sinfo"):
        ask("sinfo")
    stand_in("sinfo", "exec sleep 30")
    with pytest.raises(SilentError, match=r"no answer within 0\.2 s"):
        tell("sinfo", seconds=0.2)


def test_a_refusal_is_the_users_to_mend_and_a_command_that_is_not_there_is_said(stand_in: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in("sbatch", "echo 'sbatch: error: Batch job submission failed: Invalid account' >&2; exit 1")
    with pytest.raises(ConfigError, match="Slurm refuses sbatch: Batch job submission failed: Invalid account"):
        ask("sbatch")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match="sbatch is not on the PATH"):
        ask("sbatch")


def test_variables_that_change_what_commands_mean_are_not_passed_on(stand_in: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    kept_from_them = ("SQUEUE_PARTITION", "SBATCH_TIMELIMIT", "SLURM_CLUSTERS", "MIDTRAIN_JOB", "RAY_ADDRESS")
    for name in kept_from_them:
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    stand_in("squeue", "env")
    assert set(ask("squeue").split()) & {f"{name}=x" for name in kept_from_them} == set()
    assert "SLURM_CONF=/etc/slurm.conf" in ask("squeue").split()


def test_one_question_tells_of_all_jobs_and_an_accounting_that_is_not_there_of_none(stand_in: Stand) -> None:
    stand_in("squeue", "echo x >> asked; echo '7|a|RUNNING|None|n1'; echo '9|c|RUNNING|None|n1'")
    stand_in("sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    found = Slurm().look({"7": "a", "8": "b", "9": "another"})
    assert {job: state.phase for job, state in found.items()} == {"7": "running", "8": "gone", "9": "gone"}


def test_a_job_that_nobody_knows_any_more_is_gone(stand_in: Stand) -> None:
    stand_in("squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    stand_in("sacct", "echo '7|COMPLETED|None|n1||midtrain-a'")
    assert {job: state.word for job, state in Slurm().look({"7": "a", "8": "b"}).items()} == {"7": "COMPLETED", "8": ""}


def test_jobs_of_a_controller_that_does_not_answer_are_unknown(stand_in: Stand) -> None:
    stand_in("squeue", "echo 'Unable to contact slurm controller' >&2; exit 1")
    state = Slurm().look({"7": "a"})["7"]
    assert state.phase == "unknown" and "does not answer" in state.why


@pytest.mark.parametrize(("comes_to_have_it", "asked"), [(True, 1), (False, 3)])
def test_a_submission_without_an_answer_is_looked_for_by_its_key_before_it_is_made_again(
    stand_in: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comes_to_have_it: bool, asked: int
) -> None:
    monkeypatch.setattr(slurm, "_FIND_AGAIN_SECONDS", (0.0, 0.0))
    stand_in("sbatch", "echo x >> asked; echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv' >&2; exit 1")
    stand_in("squeue", "echo '54|another'; " + ("[ -e late ] && echo '55|0123456789abcdef'; touch late; true" if comes_to_have_it else ""))
    if comes_to_have_it:
        assert Slurm().submit(job(), tmp_path / "job.sh") == "55"
    else:
        with pytest.raises(SilentError, match="does not answer sbatch"):
            Slurm().submit(job(), tmp_path / "job.sh")
    assert (tmp_path / "asked").read_text().count("x") == asked


def test_a_wrapper_of_sbatch_may_say_more_than_the_number(stand_in: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in("sbatch", "echo 'Your budget: 12 hours'; echo '55;here'; echo 'Good luck.'")
    assert Slurm().submit(job(), tmp_path / "job.sh") == "55"
    monkeypatch.setattr(slurm, "_FIND_AGAIN_SECONDS", (0.0,))
    stand_in("sbatch", "echo 'Thank you.'")
    stand_in("squeue", "true")
    with pytest.raises(InfrastructureError, match=r"sbatch said 'Thank you\.', which is no job's number"):
        Slurm().submit(job(), tmp_path / "job.sh")


def test_nodes_on_which_ranks_failed_alone_in_the_job_before_are_excluded_until_somebody_takes_them_back(
    stand_in: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDirectory(tmp_path / "run")
    run.root.mkdir()
    known = Submission(number=1, platform="slurm", profile="slurm", key="k", from_step=0, job="7")
    begin_submission(run, known, {"job.sh": ""}, load_settings("slurm", [])[1])
    end_submission(run, known)
    monkeypatch.setenv(JOB, "slurm:7")
    for host in ("n1.cluster", "n2.cluster", "n1.cluster"):
        stop = Stop(step=1, reason="died", reason_class="infrastructure", exit_code=6, failed_hosts=[host])
        stop_attempt(run, start_attempt(run, world_size=2, from_step=0), stop)
    stand_in("sinfo", "echo n1; echo n2")
    ours = partial(job, runs=(str(run.root),))
    assert '--exclude="n1"' in Slurm().render(ours())[SCRIPT]
    assert "--exclude" not in Slurm().render(ours("exclude_failed=false"))[SCRIPT]
    stand_in("sinfo", "[ -n \"${4##*R*}\" ] && echo n1 || echo 'gpu|up|infinite|8|96|gpu:h100:8'")
    stand_in("sbatch", "echo 'sbatch: error: Requested node configuration is not available' >&2; exit 1")
    with pytest.raises(ConfigError, match=r"Excluded, .*: n1; launch\.exclude_failed=false takes them back"):
        Slurm().check(ours("container=null", "setup=[':']"))
    monkeypatch.setenv("PATH", "/nowhere")
    assert '--exclude="n1.cluster"' in Slurm().render(ours())[SCRIPT], "no Slurm is needed to read the script"


def test_a_directory_of_this_machine_alone_will_do_where_it_is_the_only_node(stand_in: Stand) -> None:
    stand_in("sinfo", "[ -n \"${4##*R*}\" ] && hostname --short || echo 'gpu|up|infinite|1|96|gpu:h100:8'")
    stand_in("sbatch", "true")
    here = replace(job("container=null", "setup=[':']", "shared_paths=[]", world_size=8), paths=(("run.dir", "/dev/shm/x"),))
    Slurm().check(here)
    stand_in("sinfo", "[ -n \"${4##*R*}\" ] && echo n1 || echo 'gpu|up|infinite|1|96|gpu:h100:8'")
    with pytest.raises(ConfigError, match=r"run\.dir=/dev/shm/x is on a file system of type tmpfs"):
        Slurm().check(here)


def test_a_job_of_another_key_is_not_cancelled(stand_in: Stand, tmp_path: Path) -> None:
    stand_in("squeue", "echo '7|another|RUNNING|None|n1'")
    stand_in("scancel", "touch cancelled")
    Slurm().cancel("7", "a")
    assert not (tmp_path / "cancelled").exists()
    Slurm().cancel("7", "another")
    assert (tmp_path / "cancelled").exists()
