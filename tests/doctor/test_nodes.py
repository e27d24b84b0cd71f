"""Real ranks on a real cluster of two nodes, and on a cluster that is too small, dead, or too slow."""

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from orchestrator.config.load import load_config
from orchestrator.config.schema import Config
from orchestrator.doctor.apart import check_nodes_apart
from orchestrator.doctor.findings import Finding
from tests.support.prepared import write_prepared
from tests.support.tiny import overrides


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nodes")
    write_prepared(folder)
    return folder


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two nodes with room for one rank each."""
    temporary = tempfile.mkdtemp(prefix="doctor-", dir="/tmp")  # Ray's sockets want short paths
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("RAY_TMPDIR", temporary), ("RAY_AUTH_TOKEN", "of-this-test" * 6), ("TMPDIR", temporary)):
            patch.setenv(name, value)
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        cluster.add_node(num_cpus=1)
        patch.setenv("RAY_ADDRESS", cluster.address)
        try:
            yield cluster
        finally:
            cluster.shutdown()
            shutil.rmtree(temporary)


def config(home: Path, **changes: object) -> Config:
    return load_config(overrides(home, **changes))


def bad(findings: list[Finding]) -> set[str]:
    """What is bad; how fast disks and networks are is up to what else the machine does."""
    return {finding.check for finding in findings if finding.verdict == "bad"}


def logs() -> set[Path]:
    return set(Path("/tmp").glob("midtrain-doctor-*"))


def test_two_nodes_are_looked_at_one_by_one_and_together(home: Path, cluster: Cluster) -> None:
    before = set(home.iterdir()) | logs()
    found = check_nodes_apart(config(home))
    assert bad(found) == set()
    nodes = {finding.where for finding in found if finding.check == "/dev/shm"}
    assert len(nodes) == 2  # of one host, told apart by Ray's ids
    assert all(name.startswith(f"{socket.gethostname()} (") for name in nodes)
    for check in ("run directory", "open files", "model", "model architecture", "source 'spec'", "shared storage"):
        assert {finding.where for finding in found if finding.check == check} == nodes
    assert len([finding for finding in found if finding.check == "clock"]) == 1
    assert ["2 ranks on 2 nodes, gloo" in finding.value for finding in found if finding.check.startswith("all-reduce of")] == [True] * 3
    assert set(home.iterdir()) | logs() == before


def test_a_cluster_that_is_too_small_is_told_and_what_there_is_of_it_looked_at(home: Path, cluster: Cluster) -> None:
    found = check_nodes_apart(config(home, **{"scheduling.world_size": 4, "model.path": write_no_model(home)}), room_seconds=1)
    assert bad(found) == {"room", "model", "model architecture"}
    assert found[0].value == "for 2 of 4 ranks on 2 nodes"


def write_no_model(home: Path) -> Path:
    """A directory that is no model, for which ranks find that out each on its own node."""
    (home / "empty").mkdir(exist_ok=True)
    return home / "empty"


def test_ranks_that_do_not_come_up_in_time_are_told_and_ended(home: Path, cluster: Cluster) -> None:
    before = logs()
    found = check_nodes_apart(config(home, **{"scheduling.deadlines.start": 0.2}))
    assert bad(found) == {"ranks"}
    assert "ranks hang in coming up" in found[-1].value
    for kept in logs() - before:
        assert f"The logs of ranks are in {kept}" in found[-1].remedy
        shutil.rmtree(kept)


def test_a_cluster_that_is_not_there_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "2")
    (found,) = check_nodes_apart(config(home))
    assert (found.check, found.verdict) == ("ranks", "bad")
    assert f"RAY_ADDRESS=127.0.0.1:{port}" in found.value or "the process that drives them" in found.value


def test_a_process_that_takes_too_long_is_ended_and_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "local")
    (found,) = check_nodes_apart(config(home, **{"scheduling.deadlines.start": 0.1}), more_seconds=0.4)
    assert (found.check, found.verdict) == ("ranks", "bad")
    assert found.value.startswith("the process that drives them was killed by SIG")


def test_without_gpus_a_run_that_wants_them_is_told_before_anything_starts(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "local")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (found,) = check_nodes_apart(config(home, **{"scheduling.gpus_per_rank": 1}))
    assert (found.check, found.verdict, found.value) == ("GPUs", "bad", "0 devices")
