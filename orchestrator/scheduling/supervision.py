"""A run, attempt after attempt, until all its steps are done, it is asked to stop, or a budget is spent."""

import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from orchestrator.checkpoints.store import Checkpoint
from orchestrator.config.operation import SchedulingConfig
from orchestrator.errors import (
    InfrastructureError,
    InterruptedRunError,
    NodePreemptedError,
    NodesMissingError,
    OrchestratorError,
    SupersededError,
)
from orchestrator.runs.attempts import JOB, Stop, newest_start, start_attempt, stop_attempt
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.fence import Token, newest_token, raise_fence, still_ours
from orchestrator.runs.stop_request import stop_requested
from orchestrator.scheduling import asked
from orchestrator.scheduling.attempt import AttemptJob, Outcome, error_of
from orchestrator.scheduling.budgets import Failure, Verdict, backoff_seconds, by_class, judge

_LOOK_SECONDS = 0.2
_REASONS = {"done": "all steps are done", "paused": "at the step that it was to stop at", "resize": "to go on at another world size"}


class Supervision:
    """Of one command."""

    def __init__(
        self,
        run: RunDirectory,
        scheduling: SchedulingConfig,
        *,
        choose: Callable[[], Checkpoint | None],
        attempt: Callable[[AttemptJob, Path], Outcome],
        say: Callable[[str], None],
        until_step: int | None = None,
    ) -> None:
        """
        Args:
            run: its directory; the caller holds its lock.
            scheduling: of its configuration.
            choose: gives the newest checkpoint that can be trusted, or none when there is nothing to resume from.
            attempt: makes an attempt; it is given the log for what is printed.
            say: tells the user.
            until_step: where to stop, if not at the end of the plan.
        """
        self._run, self._scheduling = run, scheduling
        self._choose, self._attempt, self._say, self._until_step = choose, attempt, say, until_step
        self._failures: list[Failure] = []
        self._failed_nodes: Counter[str] = Counter()

    def to_the_end(self) -> None:
        """Make attempts.

        Raises:
            OrchestratorError: the run stopped before its last step; its ledger says why.
            SupersededError: a newer attempt has taken it over; nothing more was written.
        """
        with asked.noting_signals(self._scheduling.preemption.signals):
            while (wait_seconds := self._make_attempt()) is not None:
                self._back_off(wait_seconds)

    def _make_attempt(self) -> float | None:
        """One attempt.

        Returns:
            Seconds until the next one; none when all steps are done, or a person has stopped the run.
        """
        try:
            checkpoint = self._choose()
            from_step = checkpoint.step if checkpoint else 0
            token = raise_fence(self._run, start_attempt(self._run, world_size=self._scheduling.world_size, from_step=from_step))
        except OSError as failure:
            return self._not_begun(failure)
        job = AttemptJob(
            run=str(self._run.root),
            token=token,
            from_step=from_step,
            until_step=self._until_step,
            excluded_nodes=[node for node, count in self._failed_nodes.items() if count >= self._scheduling.exclude_node_after],
        )
        outcome = self._attempt(job, self._run.logs(token.attempt) / "driver.log")
        self._leave_if_superseded(token, outcome)
        if self._has_ended_as_asked(token, outcome):
            return None
        if outcome.kind in ("failed", "drained"):
            return self._after_failure(job, outcome)
        error = error_of(outcome)
        self._end(token, outcome, str(error or _REASONS[outcome.kind]), error)
        if error:
            raise error
        return 0.0 if outcome.kind == "resize" else None

    def _has_ended_as_asked(self, token: Token, outcome: Outcome) -> bool:
        """Whether the attempt has ended when `midtrain stop` had asked for that. Nothing is to start the run again, however it ended."""
        request = stop_requested(self._run, token.attempt)
        if request is None or outcome.kind in ("done", "paused"):
            return False
        is_saved, was_asked = outcome.kind in ("stop", "drained", "resize"), isinstance(error_of(outcome), InterruptedRunError)
        saved = f"after step {outcome.step}, which is saved" if is_saved else "without a save"
        ended = f" It ended by itself: {outcome.message}" if not (is_saved or was_asked) else ""
        reason = f"`midtrain stop` by {request.by} stopped it {saved}. Go on with `midtrain resume`.{ended}"
        self._end(token, replace(outcome, kind="stopped"), reason, None)
        self._say(reason)
        return True

    def _not_begun(self, failure: OSError) -> float:
        """An attempt that the disk of the run directory did not let begin. The first one of a command is not tried again."""
        error = InfrastructureError(f"an attempt cannot be entered into {self._run.root}: {failure}. Free space there, and resume.")
        if not self._failures:
            raise error from failure
        verdict = self._charge(replace(self._failures[-1], reason_class=error.reason_class, step=self._failures[-1].from_step))
        if not verdict.goes_on:
            raise error from failure
        return self._said_to_begin_again(str(error), error, verdict)

    def _end(self, token: Token, outcome: Outcome, reason: str, error: OrchestratorError | None) -> None:
        """Enter the stop. A resize is no failure, and the next attempt follows at once."""
        reason_class = error.reason_class if error else outcome.kind
        stop = Stop(
            step=outcome.step,
            reason=reason,
            reason_class=reason_class,
            exit_code=error.exit_code if error else 0,
            seconds=outcome.seconds,
            failed_hosts=outcome.failed_hosts,
        )
        try:
            stop_attempt(self._run, token.attempt, stop)
        except OSError as failure:  # a full disk is most likely why the attempt failed, too
            self._say(f"the stop of attempt {token.attempt} cannot be entered into {self._run.attempts}: {failure}")

    def _after_failure(self, job: AttemptJob, outcome: Outcome) -> float:
        error = error_of(outcome)
        assert error is not None
        if isinstance(error, InterruptedRunError) and not isinstance(error, NodePreemptedError):
            self._end(job.token, outcome, str(error), error)
            raise error
        if isinstance(error, NodesMissingError) and JOB in os.environ:  # a platform has started this, and can again, on other nodes
            self._end(job.token, outcome, str(error), error)
            raise error
        if len(set(outcome.failed_nodes)) == 1:  # what fails on several at once is most likely none of theirs
            self._failed_nodes.update(set(outcome.failed_nodes))
        verdict = self._charge(Failure(reason_class=error.reason_class, from_step=job.from_step, step=outcome.step))
        if not verdict.goes_on:
            key = f"scheduling.budgets.{error.reason_class}={verdict.limit}"
            spent = f" {verdict.spent} failures of this class since the last progress spend {key}." if verdict.limit else ""
            error = type(error)(f"{error}{spent}")
        self._end(job.token, outcome, str(error), error)
        if not verdict.goes_on:
            raise error
        return self._said_to_begin_again(f"attempt {job.token.attempt} stopped at step {outcome.step}: {error}", error, verdict)

    def _charge(self, failure: Failure) -> Verdict:
        self._failures.append(failure)
        return judge(self._failures, by_class(self._scheduling.budgets))

    def _said_to_begin_again(self, what: str, error: OrchestratorError, verdict: Verdict) -> float:
        """How long to wait."""
        wait = backoff_seconds(verdict.in_a_row)
        budget = f"{verdict.spent} of scheduling.budgets.{error.reason_class}={verdict.limit}"
        self._say(f"{what} Starting again in {wait:.0f} s ({budget}).")
        return wait

    def _leave_if_superseded(self, token: Token, outcome: Outcome) -> None:
        """Write nothing more to a run that is another attempt's: the ledger has had our start, and the newer one's after it."""
        if outcome.kind == "superseded" or not still_ours(self._run, token):
            newer = newest_token(self._run)
            where = f"attempt {newer.attempt} on host {newer.host}" if newer else f"an attempt on host {outcome.by_host}"
            raise SupersededError(f"{self._run.root} was taken over by {where}, so attempt {token.attempt} stopped and wrote nothing more.")

    def _back_off(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if stop_requested(self._run, newest_start(self._run) + 1):
                return  # the next attempt ends at once, and says so
            if number := asked.asked_to_stop():
                raise InterruptedRunError(f"stopped by {asked.name(number)} between two attempts. Go on with `midtrain resume`.")
            time.sleep(_LOOK_SECONDS)
