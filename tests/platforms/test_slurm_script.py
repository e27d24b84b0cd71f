"""The batch script, and what is refused before it is submitted. What a real Slurm makes of it is in tests/clusters."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.config.load import load_config
from orchestrator.errors import ConfigError
from orchestrator.platforms.job import Job, Shape, check_mounts, check_shared, shape_of
from orchestrator.platforms.profiles import load_settings
from orchestrator.platforms.slurm import SCRIPT, Slurm
from orchestrator.platforms.slurm_partitions import check_partition, read_nodes
from orchestrator.platforms.submissions import Submission, begin_submission, end_submission
from orchestrator.runs.attempts import Stop, start_attempt, stop_attempt
from orchestrator.runs.directory import RunDirectory
from tests.support.tiny import overrides

GOLDEN = Path(__file__).with_name("golden") / "slurm-8x8-h100.sh"
SINFO = """gpu|up|1-00:00:00|16|96|gpu:h100:8(S:0-1)
gpu|up|1-00:00:00|2|48|gpu:a100:4
cpu|up|infinite|40|128|(null)
old|down|30:00|4|16|(null)
"""


def job(*words: str, world_size: int = 64, gpus: int = 1, runs: tuple[str, ...] = ("/lustre/runs/mine",)) -> Job:
    profile, settings = load_settings("slurm", ["profile=slurm-h100", "partition=null", *words])
    scheduling = {"scheduling.world_size": world_size, "scheduling.gpus_per_rank": gpus, "training.sequences_per_step": world_size}
    config = load_config(overrides(Path("/lustre"), **scheduling))
    return Job(
        name="mine",
        runs=tuple(RunDirectory(Path(run)) for run in runs),
        number=1,
        key="0123456789abcdef",
        shape=shape_of(config.scheduling, settings.ranks_per_node),  # type: ignore[union-attr]
        scheduling=config.scheduling,
        settings=settings,
        profile=profile,
        first_checkpoint_seconds=1200,
    )


def script(of: Job) -> str:
    text = Slurm().render(of)[SCRIPT]
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    return text


def test_the_script_for_8_nodes_of_8_h100_is_as_it_was_read() -> None:
    text = script(job("partition=preemptible"))
    if os.environ.get("MIDTRAIN_WRITE_GOLDEN"):  # then read what has changed
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def test_a_script_has_no_secret_and_its_token_is_made_where_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "very-secret-0123456789")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "very-secret-9876543210")
    assert "very-secret" not in script(job())


def test_an_array_has_a_run_a_task_and_a_cap() -> None:
    text = script(job("at_once=2", runs=("/lustre/a b", "/lustre/c'd", "/lustre/$e")))
    assert '#SBATCH --array="0-2%2"' in text
    head = text[text.index("runs=(") : text.index("export MIDTRAIN_JOB")].replace("export", "echo").replace("$SLURM_JOB_ID", "")
    said = [
        subprocess.run(["bash", "-c", head], env={"SLURM_ARRAY_TASK_ID": str(task)}, capture_output=True, text=True, check=True)
        for task in range(3)
    ]
    assert [one.stdout.strip() for one in said] == ["MIDTRAIN_RUN=/lustre/a b", "MIDTRAIN_RUN=/lustre/c'd", "MIDTRAIN_RUN=/lustre/$e"]


def test_steps_run_in_the_container_that_the_profile_names() -> None:
    pyxis = script(job())
    assert "--container-image=/lustre/images/midtrain-cuda.sqsh --container-mounts=/tmp:/tmp,/lustre:/lustre" in pyxis
    assert "inside=()" in pyxis and "command -v midtrain" not in pyxis
    apptainer = script(job("container={runtime: apptainer, image: '/l/a b.sif', mounts: ['/l:/l']}"))
    assert "inside=(apptainer exec --nv --bind=/tmp:/tmp,/l:/l '/l/a b.sif' )" in apptainer and "--container" not in apptainer
    plain = script(job("container=null"))
    assert "inside=()" in plain and "command -v midtrain" in plain and "export PATH=" in plain


def test_what_the_profile_names_stands_on_lines_of_its_own() -> None:
    text = script(job("exclude=[n3,n7]", "reservation=maintenance", "constraint='h100&ib'"))
    assert [line for line in ("--account", "--qos", "--constraint", "--reservation", "--exclude") if f"\n#SBATCH {line}=" not in text] == []
    assert '#SBATCH --constraint="h100&ib"' in text and '#SBATCH --exclude="n3,n7"' in text


def test_the_environment_that_launches_is_the_jobs_unless_a_line_of_setup_brings_another() -> None:
    text = script(job("container=null", "setup=['module load cuda']"))
    assert (
        0
        < text.index(f"export PATH={Path(sys.executable).parent}:$PATH")
        < text.index("module load cuda")
        < text.index("command -v midtrain")
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["stop_before_seconds=100"],
            r"launch\.stop_before_seconds=100 is less than scheduling\.preemption\.grace_seconds=120 .* Set it to 150",
        ),
        (["time_limit='0:30:00'"], r"launch\.time_limit=0:30:00 is 1,800 s.* first checkpoint, 1,200 s.* more than 2,160 s"),
    ],
)
def test_times_that_cannot_work_are_refused(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Slurm().check_settings(job(*words))


def test_a_run_waits_for_the_jobs_of_those_that_come_before_it_and_not_for_what_is_finished(tmp_path: Path) -> None:
    first, second = (RunDirectory(tmp_path / name) for name in ("first", "second"))
    for run, number in ((first, "77"), (second, "78")):
        run.root.mkdir()
        known = Submission(number=1, platform="slurm", profile="slurm", key="k", from_step=0, job=number)
        begin_submission(run, known, {"job.sh": ""}, load_settings("slurm", [])[1])
        end_submission(run, known)
    after = f"after=[{first.root},{second.root}]"
    assert '#SBATCH --dependency="afterok:77:78"' in script(job(after))
    stop_attempt(first, start_attempt(first, world_size=1, from_step=0), Stop(step=9, reason="all", reason_class="done", exit_code=0))
    assert '#SBATCH --dependency="afterok:78"' in script(job(after))
    with pytest.raises(ConfigError, match=r"launch\.after=.*third is neither finished nor launched on Slurm"):
        script(job(f"after=[{tmp_path}/third]"))


@pytest.mark.parametrize("mounts", ["[]", "['/data:/lustre']", "['/lustre/runs/other:/lustre/runs/other']"])
def test_a_container_that_does_not_have_the_run_where_it_is_is_refused(mounts: str) -> None:
    settings = f"container={{runtime: pyxis, image: '/l/a.sqsh', mounts: {mounts}}}"
    with pytest.raises(ConfigError, match=r"run\.dir=/lustre/runs/mine is not in the container: .* /lustre/runs:/lustre/runs"):
        Slurm().check_settings(replace(job(settings), paths=(("run.dir", "/lustre/runs/mine"),)))
    check_mounts([("run.dir", "/lustre/runs/mine")], ["/lustre:/lustre", "/data:/inside"])
    check_mounts([("run.dir", "/lustre/runs/mine")], ["/lustre"])


def test_a_run_directory_with_slurms_own_signs_is_refused() -> None:
    with pytest.raises(ConfigError, match="has a % or a backslash"):
        Slurm().check_settings(job(runs=("/lustre/100%",)))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            job("partition=gpus"),
            r"launch\.partition=gpus: there is no such partition\. Partitions: cpu, gpu, old",
        ),
        (job("partition=old"), r"launch\.partition=old is down"),
        (job("partition=gpu", "time_limit='2-00:00:00'"), r"longer than the 86,400 s that the partition allows"),
        (job("partition=gpu", "ranks_per_node=16"), r"launch\.ranks_per_node=16 takes 16 GPUs a node, and no node there has more than 8"),
        (job("partition=cpu"), r"no node there has more than 0\. Lower it, or set scheduling\.gpus_per_rank=0"),
        (job("partition=gpu", "cpus_per_node=128"), r"launch\.cpus_per_node=128 is more than the 96 of the largest node"),
        (job("partition=gpu", world_size=8 * 17), r"takes 17 nodes of 96 CPUs and 8 GPUs"),
    ],
)
def test_what_no_node_can_give_is_refused_with_the_remedy(asked: Job, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_partition(read_nodes(SINFO), asked)


def test_what_fits_is_not_refused() -> None:
    check_partition(read_nodes(SINFO), job("partition=gpu", world_size=8 * 16))
    check_partition(read_nodes(SINFO), job(world_size=8))


@pytest.mark.parametrize(("world_size", "ranks_per_node", "nodes"), [(64, 8, 8), (2, 8, 1), (1, 1, 1), (24, 8, 3)])
def test_ranks_fill_whole_nodes(world_size: int, ranks_per_node: int, nodes: int) -> None:
    scheduling = replace(job().scheduling, world_size=world_size)
    assert shape_of(scheduling, ranks_per_node).nodes == nodes


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (Shape(nodes=8, ranks_per_node=8, gpus_per_node=8), "8 nodes of 8 ranks with 8 GPUs"),
        (Shape(nodes=1, ranks_per_node=1, gpus_per_node=0), "1 node of 1 rank without GPUs (scheduling.gpus_per_rank=0)"),
    ],
)
def test_what_is_taken_is_said(shape: Shape, said: str) -> None:
    assert str(shape) == said


def test_ranks_that_do_not_fill_whole_nodes_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"scheduling\.world_size=20 does not fill nodes of launch\.ranks_per_node=8\. Set it to 16 or 24"
    ):
        shape_of(replace(job().scheduling, world_size=20), 8)


def test_directories_that_only_this_machine_sees_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"run\.dir=/proc/x is in none of launch\.shared_paths=/lustre"):
        check_shared([("shards.dir", "/lustre/s"), ("run.dir", "/proc/x")], ["/lustre"], is_elsewhere=False)
    with pytest.raises(ConfigError, match=r"run\.dir=/dev/shm/x is on a file system of type tmpfs"):
        check_shared([("run.dir", "/dev/shm/x")], [], is_elsewhere=True)
    check_shared([("run.dir", "/dev/shm/x")], [], is_elsewhere=False)
