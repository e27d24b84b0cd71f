"""Runs on clusters: what they need, the small run that is launched there, its undisturbed twin, and the table of the cases.

A Slurm cluster: `sbatch` on the PATH, whose nodes see this machine's temporary directory and its Python; for the cases that break
nodes, MIDTRAIN_SLURM_LAB names a command that takes `poweroff NODE` and `poweron NODE` (`slurmctld` is one, too). A Kubernetes cluster: a
KUBECONFIG whose server has the RayJob CRD; MIDTRAIN_KUBERNETES_LAB names a command that takes `kill-pod`, `fail-node` and `restore-node`.
With MIDTRAIN_REQUIRE_CLUSTERS=1 what is missing is a failure, not a reason to skip.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.errors import OrchestratorError
from orchestrator.platforms.kubernetes.client import Api
from tests.chaos.breaking import command, ended, train
from tests.clusters.launched import cancel
from tests.support.cases import Cases
from tests.support.tiny import overrides, write_everything

_cases = Cases("clusters")
pytest_collection_modifyitems = _cases.pytest_collection_modifyitems
pytest_runtest_makereport = _cases.pytest_runtest_makereport
pytest_terminal_summary = _cases.pytest_terminal_summary


def missing(what: str) -> None:
    """Skip a test for want of something, unless it must be there."""
    if os.environ.get("MIDTRAIN_REQUIRE_CLUSTERS") == "1":
        pytest.fail(f"MIDTRAIN_REQUIRE_CLUSTERS=1, and there is no {what}")
    pytest.skip(f"no {what}")


@pytest.fixture(scope="session")
def slurm() -> None:
    if not shutil.which("sbatch"):
        missing("Slurm: no sbatch on the PATH")
    answer = subprocess.run(["sinfo", "--noheader"], capture_output=True, text=True, timeout=30, check=False)
    if answer.returncode:
        missing(f"Slurm: sinfo says {answer.stderr.strip()}")


@pytest.fixture(scope="session")
def slurm_lab(slurm: None) -> str:
    """A command that breaks and mends nodes."""
    if "MIDTRAIN_SLURM_LAB" not in os.environ:
        missing("command to power nodes off: MIDTRAIN_SLURM_LAB is not set")
    return os.environ["MIDTRAIN_SLURM_LAB"]


@pytest.fixture(scope="session")
def kubernetes() -> Api:
    """An API server that knows RayJobs."""
    if not os.environ.get("KUBECONFIG"):
        missing("Kubernetes: KUBECONFIG is not set")
    api = Api()
    try:
        if not api.get("/apis/ray.io/v1"):
            missing("KubeRay: the cluster that KUBECONFIG leads to has no RayJobs")
    except OrchestratorError as error:
        missing(f"Kubernetes: {error}")
    return api


@pytest.fixture(scope="session")
def kubernetes_lab(kubernetes: Api) -> str:
    """A command that kills pods and fails nodes."""
    if "MIDTRAIN_KUBERNETES_LAB" not in os.environ:
        missing("command to kill pods and fail nodes: MIDTRAIN_KUBERNETES_LAB is not set")
    return os.environ["MIDTRAIN_KUBERNETES_LAB"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_everything(tmp_path_factory.mktemp("clusters"))
    with command("prepare", *overrides(folder), folder=folder) as prepare:
        ended(prepare)
    return folder


@pytest.fixture(scope="session")
def reference(folder: Path) -> Path:
    """The run that nobody disturbs, and that no platform has seen."""
    run = folder / "runs" / "reference"
    with train(run, folder) as process:
        ended(process)
    return run


@pytest.fixture(autouse=True)
def nothing_goes_on(folder: Path) -> Iterator[None]:
    """Neither a fault nor a job outlives its case."""
    before = set((folder / "runs").rglob("submissions.jsonl"))
    yield
    (folder / "fault").unlink(missing_ok=True)
    for submissions in set((folder / "runs").rglob("submissions.jsonl")) - before:
        cancel(submissions.parents[1])
