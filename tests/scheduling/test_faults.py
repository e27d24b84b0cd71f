"""What a rank's failure means: whose fault it is, and which of several is the cause."""

from pathlib import Path

import pytest
from ray.exceptions import RayActorError

from orchestrator.errors import InfrastructureError, NumericsError, RankFailedError
from orchestrator.scheduling.faults import BlamedRanksError, RaisedByRayError, RankFaultError, RankLostError, first_cause, is_infrastructure

LOGS = Path("/logs/1")
CLOSED = RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer")


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (RuntimeError("CUDA error: uncorrectable ECC error encountered"), True),
        (RuntimeError("CUBLAS_STATUS_EXECUTION_FAILED"), True),
        (CLOSED, True),
        (OSError(5, "Input/output error"), True),
        (RayActorError(), True),
        (RaisedByRayError("a data-mixing worker died"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (ValueError("no such thing"), False),
    ],
)
def test_what_a_process_a_device_a_disk_or_a_connection_does_is_no_bug(failure: Exception, expected: bool) -> None:
    assert is_infrastructure(failure) is expected


def test_an_error_of_ours_is_the_cause_before_all_others() -> None:
    ours = NumericsError("the loss is not finite.")
    assert first_cause({0: CLOSED, 1: RayActorError(), 2: ours}, LOGS) is ours


def test_a_death_is_the_cause_of_what_its_neighbours_meet() -> None:
    found = first_cause({0: CLOSED, 3: RayActorError(), 4: ValueError("none")}, LOGS)
    assert isinstance(found, RankLostError)
    assert found.ranks == (3,)


def test_a_bug_is_the_cause_of_what_its_neighbours_meet() -> None:
    found = first_cause({0: CLOSED, 1: ValueError("no such thing\nat all")}, LOGS)
    assert isinstance(found, RankFailedError)
    assert str(found) == "rank 1 failed: ValueError: no such thing. Its log is in /logs/1; go on with `midtrain resume`."


def test_one_rank_alone_is_to_blame_for_its_device_and_several_are_not() -> None:
    ecc = RuntimeError("CUDA error: uncorrectable ECC error encountered")
    assert isinstance(first_cause({2: ecc}, LOGS), RankFaultError)
    both = first_cause({1: CLOSED, 2: ecc}, LOGS)
    assert isinstance(both, InfrastructureError)
    assert not isinstance(both, BlamedRanksError)
