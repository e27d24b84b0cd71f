"""A cluster that cannot be had is one message with a remedy, and leaves nothing behind."""

from pathlib import Path

import pytest
import ray

from orchestrator.errors import InfrastructureError
from orchestrator.scheduling.cluster import ray_cluster


@pytest.mark.parametrize(
    ("address", "remedy"),
    [("local", "See that this machine has memory"), ("head:6379", "Unset RAY_ADDRESS to start one")],
)
@pytest.mark.parametrize("failure", [Exception("The current node timed out during startup."), ConnectionError("refused")])
def test_a_cluster_that_does_not_come_up_is_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, address: str, remedy: str, failure: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise failure

    before = set(Path("/tmp").glob("midtrain-*"))
    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setattr(ray, "init", fail)
    with pytest.raises(InfrastructureError) as caught, ray_cluster(num_cpus=1):
        pass
    assert str(caught.value).startswith(f"no Ray cluster at RAY_ADDRESS={address}: {str(failure).removesuffix('.')}. {remedy}")
    assert set(Path("/tmp").glob("midtrain-*")) == before


def test_what_fails_within_a_cluster_is_not_taken_for_a_failure_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    monkeypatch.setattr(ray, "init", lambda *_, **__: None)
    with pytest.raises(OSError, match="disk"), ray_cluster(num_cpus=1):
        raise OSError("disk")
