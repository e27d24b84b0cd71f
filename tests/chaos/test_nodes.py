"""A node of the cluster is removed, and given back."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ray.cluster_utils import Cluster
from safetensors.numpy import load

from orchestrator.runs.lines import read_lines
from tests.chaos.breaking import (
    EVERY,
    FAULTS,
    STEPS,
    classes,
    ended,
    last_step,
    moment,
    state,
    train,
    trained_data,
    wait_for,
    wait_for_step,
)


@pytest.fixture
def cluster(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A head with room for one rank. What its workers print and write goes with it."""
    temporary = tempfile.mkdtemp(prefix="nodes-", dir="/tmp")  # Ray's sockets want short paths
    for name, value in (
        ("RAY_TMPDIR", temporary),
        ("RAY_AUTH_TOKEN", "of-this-test" * 6),
        ("TMPDIR", temporary),
        ("PYTHONPATH", str(FAULTS)),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MIDTRAIN_FAULT", "slow steps")
    monkeypatch.setenv("MIDTRAIN_FAULT_FILE", str(folder / "fault"))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        yield cluster
    finally:
        cluster.shutdown()
        shutil.rmtree(temporary)


def test_a_node_is_removed_and_given_back(folder: Path, reference: Path, cluster: Cluster) -> None:
    run = folder / "runs" / "nodes"
    node = cluster.add_node(num_cpus=1)
    with train(run, folder, changes={"scheduling.min_world_size": 1}, RAY_ADDRESS=cluster.address) as process:
        wait_for_step(run, EVERY + 2 + moment("a node is removed") // 3, process)
        (folder / "fault").touch()  # a step a second, so that there is something left to grow for
        cluster.remove_node(node, allow_graceful=False)
        wait_for(lambda: sizes(run)[-1] == 1 or process.poll() is not None)
        cluster.add_node(num_cpus=1)
        wait_for(lambda: sizes(run)[-1] == 2 or process.poll() is not None)
        (folder / "fault").unlink()
        ended(process)
    assert sizes(run)[0] == 2  # and perhaps once more, as Ray takes ten seconds to see that a node is gone
    assert sizes(run)[-2:] == [1, 2]
    assert (classes(run)[0], *set(classes(run)[1:-1]), classes(run)[-1]) == ("infrastructure", "resize", "done")
    assert last_step(run) == STEPS
    assert trained_data(run) == trained_data(reference)
    assert_close(state(run), state(reference))


def sizes(run: Path) -> list[int]:
    """How many ranks each attempt had."""
    return [line["world_size"] for line in read_lines(run / "attempts.jsonl") if line["event"] == "placed"]


def assert_close(state: dict[str, bytes], expected: dict[str, bytes]) -> None:
    """Other world sizes add up gradients in another order, and AdamW at a rate of 0.01 lets that grow; a step more or less is 0.01 off."""
    assert state.keys() == expected.keys()
    for name in state:
        ours, theirs = load(state[name]), load(expected[name])
        assert ours.keys() == theirs.keys()
        for key in ours:
            np.testing.assert_allclose(ours[key], theirs[key], rtol=0, atol=1e-3, err_msg=f"{name}: {key}")
