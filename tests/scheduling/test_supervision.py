"""A run goes on by itself for as long as its budgets last, and every attempt has its start and its stop in the ledger."""

import errno
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.checkpoints.store import Checkpoint
from orchestrator.config.load import load_config
from orchestrator.config.operation import SchedulingConfig
from orchestrator.errors import (
    InfrastructureError,
    InterruptedRunError,
    NodesMissingError,
    NumericsError,
    OrchestratorError,
    SupersededError,
)
from orchestrator.runs.attempts import JOB, start_attempt
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.fence import raise_fence
from orchestrator.runs.lines import read_lines
from orchestrator.runs.stop_request import request_stop
from orchestrator.scheduling import supervision
from orchestrator.scheduling.attempt import AttemptJob, Outcome
from orchestrator.scheduling.supervision import Supervision

WORDS = ["run.name=a", "model.path=/m", "mixture.total_tokens=100000", "sources.spec={role:spec,paths:[/a.md]}"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    monkeypatch.setattr(supervision, "backoff_seconds", lambda in_a_row: 0.0)
    return RunDirectory(tmp_path)


def scheduling(*overrides: str) -> SchedulingConfig:
    return load_config([*WORDS, *overrides]).scheduling


def died(step: int, error: str = "InfrastructureError", **changes: Any) -> Outcome:
    return Outcome(kind="failed", step=step, error=error, message="because.", **changes)


class Attempts:
    """Attempts that end as they are told, from checkpoints at the steps that they are told."""

    def __init__(self, run: RunDirectory, outcomes: Sequence[Outcome | Callable[[], Outcome]], checkpoints: Sequence[int] = ()) -> None:
        self._outcomes, self._checkpoints = iter(outcomes), iter(checkpoints)
        self._run = run
        self.jobs: list[AttemptJob] = []
        self.said: list[str] = []

    def choose(self) -> Checkpoint | None:
        step = next(self._checkpoints, 0)
        return Checkpoint(step, self._run.checkpoints / f"{step}", {}) if step else None

    def make(self, job: AttemptJob, log: Path) -> Outcome:
        self.jobs.append(job)
        outcome = next(self._outcomes)
        return outcome if isinstance(outcome, Outcome) else outcome()

    def supervise(self, config: SchedulingConfig) -> None:
        Supervision(self._run, config, choose=self.choose, attempt=self.make, say=self.said.append).to_the_end()


def ledger(run: RunDirectory) -> Iterator[tuple[object, ...]]:
    for line in read_lines(run.attempts):
        yield (line["event"], line["attempt"], line["from_step"]) if line["event"] == "start" else (line["event"], line["class"])


def test_a_run_goes_on_from_its_newest_checkpoint_until_it_is_done(run: RunDirectory) -> None:
    attempts = Attempts(run, [died(60), died(110), Outcome(step=300)], checkpoints=[0, 50, 100])
    attempts.supervise(scheduling())
    assert [job.from_step for job in attempts.jobs] == [0, 50, 100]
    assert [job.token.attempt for job in attempts.jobs] == [1, 2, 3]
    starts = [("start", 1, 0), ("start", 2, 50), ("start", 3, 100)]
    stops = [("stop", "infrastructure"), ("stop", "infrastructure"), ("stop", "done")]
    assert list(ledger(run)) == [line for pair in zip(starts, stops, strict=True) for line in pair]
    assert "attempt 1 stopped at step 60: because. Starting again" in attempts.said[0]
    assert "1 of scheduling.budgets.infrastructure=8" in attempts.said[0]


@pytest.mark.parametrize(
    ("error", "kind", "tries"),
    [("InfrastructureError", InfrastructureError, 3), ("NumericsError", NumericsError, 2), ("ConfigError", OrchestratorError, 1)],
)
def test_a_spent_budget_ends_the_run_with_the_error_that_spent_it(
    run: RunDirectory, error: str, kind: type[OrchestratorError], tries: int
) -> None:
    attempts = Attempts(run, [died(step, error) for step in range(10, 20)])
    with pytest.raises(kind, match=r"because\.") as caught:
        attempts.supervise(scheduling("scheduling.budgets.infrastructure=2", "scheduling.budgets.numerics=1"))
    assert len(attempts.jobs) == tries
    if tries > 1:
        assert f"{tries} failures of this class since the last progress spend scheduling.budgets." in str(caught.value)
    last = list(read_lines(run.attempts))[-1]
    assert (last["exit_code"], last["class"], last["reason"]) == (caught.value.exit_code, caught.value.reason_class, str(caught.value))


def test_a_signal_that_asks_to_stop_is_obeyed_and_never_retried(run: RunDirectory) -> None:
    attempts = Attempts(run, [Outcome(kind="stop", step=77, signal=signal.SIGUSR1)])
    with pytest.raises(InterruptedRunError, match="stopped by SIGUSR1 after step 77, which is saved"):
        attempts.supervise(scheduling())
    assert list(ledger(run))[-1] == ("stop", "preempted")


def test_a_signal_between_two_attempts_ends_the_run(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "backoff_seconds", lambda in_a_row: 60.0)
    before = signal.getsignal(signal.SIGTERM)

    def asked() -> Outcome:
        os.kill(os.getpid(), signal.SIGTERM)
        return died(5)

    attempts = Attempts(run, [asked])
    with pytest.raises(InterruptedRunError, match="stopped by SIGTERM between two attempts"):
        attempts.supervise(scheduling())
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_node_that_is_taken_away_is_charged_to_its_own_budget(run: RunDirectory) -> None:
    outcomes = [Outcome(kind="drained", step=30), Outcome(kind="drained", step=40), Outcome(step=300)]
    Attempts(run, outcomes).supervise(scheduling("scheduling.budgets.infrastructure=0", "scheduling.budgets.preempted=2"))
    with pytest.raises(InterruptedRunError, match="a node is taken away"):
        Attempts(run, outcomes).supervise(scheduling("scheduling.budgets.preempted=1"))


def test_growing_is_no_failure_and_goes_on_at_once(run: RunDirectory) -> None:
    attempts = Attempts(run, [Outcome(kind="resize", step=50, world_size=1), Outcome(step=300, world_size=2)], checkpoints=[0, 50])
    budgets = [f"scheduling.budgets.{name}=0" for name in ("preempted", "infrastructure", "data", "numerics", "bug")]
    attempts.supervise(scheduling(*budgets))
    assert [job.from_step for job in attempts.jobs] == [0, 50]
    assert list(ledger(run))[1] == ("stop", "resize")


def test_a_node_whose_ranks_failed_twice_is_not_used_again(run: RunDirectory) -> None:
    failures = [died(10, failed_nodes=["bad"]), died(11, failed_nodes=["good"]), died(12, failed_nodes=["bad"])]
    attempts = Attempts(run, [*failures, Outcome(step=300)])
    attempts.supervise(scheduling())
    assert [job.excluded_nodes for job in attempts.jobs] == [[], [], [], ["bad"]]


def test_what_fails_on_several_nodes_at_once_is_charged_to_none(run: RunDirectory) -> None:
    failures = [died(step, failed_nodes=["one", "other"]) for step in (10, 11, 12)]
    attempts = Attempts(run, [*failures, died(13, failed_nodes=["one", "one"]), Outcome(step=300)])
    attempts.supervise(scheduling())
    assert [job.excluded_nodes for job in attempts.jobs] == [[]] * 5


def test_a_disk_that_lets_no_attempt_begin_is_tried_again_within_the_budget(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = iter([True, False, False, True])

    def start(run: RunDirectory, *, world_size: int, from_step: int) -> int:
        if not next(begun):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return start_attempt(run, world_size=world_size, from_step=from_step)

    monkeypatch.setattr(supervision, "start_attempt", start)
    Attempts(run, [died(10), Outcome(step=300)]).supervise(scheduling("scheduling.budgets.infrastructure=3"))
    assert [event for event, *_ in ledger(run)] == ["start", "stop", "start", "stop"]
    begun = iter([True, False, False])
    with pytest.raises(InfrastructureError, match=r"cannot be entered into .*Stale file handle"):
        Attempts(run, [died(10)]).supervise(scheduling("scheduling.budgets.infrastructure=2"))


def test_an_attempt_that_another_has_superseded_writes_nothing_more(run: RunDirectory) -> None:
    def superseded() -> Outcome:
        raise_fence(run, 2)
        return died(20, "CheckpointError")

    attempts = Attempts(run, [superseded])
    with pytest.raises(SupersededError, match="was taken over by attempt 2 on host"):
        attempts.supervise(scheduling())
    assert list(ledger(run)) == [("start", 1, 0)]


STOPPED = Outcome(kind="stop", step=40, signal=signal.SIGTERM)
STARTING = Outcome(kind="failed", step=0, error="InterruptedRunError", message="stopped by SIGTERM before the first step.")
TAKEN_AWAY = Outcome(kind="drained", step=40)


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (STOPPED, "after step 40, which is saved"),
        (TAKEN_AWAY, "after step 40, which is saved"),
        (Outcome(kind="resize", step=50), "after step 50, which is saved"),
        (STARTING, "without a save"),
        (Outcome(kind="failed", error="HungError", message="Rank 3 hangs."), "It ended by itself: Rank 3 hangs."),
    ],
)
def test_what_a_person_has_asked_to_stop_is_not_started_again_however_it_ends(run: RunDirectory, outcome: Outcome, said: str) -> None:
    request_stop(run, through_attempt=1)
    Attempts(run, [outcome]).supervise(scheduling())
    stop = list(read_lines(run.attempts))[-1]
    assert (stop["class"], stop["exit_code"]) == ("stopped", 0)
    assert "`midtrain stop` by" in stop["reason"] and said in stop["reason"]


def test_a_signal_after_a_request_for_an_earlier_attempt_is_a_preemption(run: RunDirectory) -> None:
    request_stop(run, through_attempt=0)
    attempts = Attempts(run, [STOPPED])
    with pytest.raises(InterruptedRunError):
        attempts.supervise(scheduling())
    assert [line[1] for line in ledger(run) if line[0] == "stop"] == ["preempted"]


def test_a_run_that_comes_to_its_end_when_it_is_asked_to_stop_is_done(run: RunDirectory) -> None:
    request_stop(run, through_attempt=1)
    Attempts(run, [Outcome(step=300)]).supervise(scheduling())
    assert [line[1] for line in ledger(run) if line[0] == "stop"] == ["done"]


def test_nodes_that_do_not_come_are_waited_for_again_unless_a_platform_can_give_others(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = died(0, "NodesMissingError")
    Attempts(run, [missing, Outcome(step=300)]).supervise(scheduling())
    monkeypatch.setenv(JOB, "slurm:1")
    with pytest.raises(NodesMissingError) as refused:
        Attempts(run, [missing]).supervise(scheduling())
    assert (refused.value.exit_code, refused.value.reason_class) == (75, "infrastructure")
