"""Trials side by side in one Ray cluster, each supervised as a run is. One that fails is retried by its class, and stops no other."""

import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from orchestrator.commands.console import Console
from orchestrator.commands.submitting import last_step
from orchestrator.commands.training import resume
from orchestrator.errors import InfrastructureError, InterruptedRunError, OrchestratorError, RunExistsError, SupersededError
from orchestrator.runs.attempts import OVER_FOR_GOOD, read_status
from orchestrator.scheduling import asked
from orchestrator.sweep.directory import SweepDirectory, TrialEntry, Verdict, enter_verdict

if TYPE_CHECKING:
    from orchestrator.scheduling.sharing import SharedCluster

_LOOK_SECONDS = 0.5
_ELSEWHERE = (InterruptedRunError, RunExistsError, SupersededError)  # somebody else has the trial, or wants it to wait


Ending = Literal["finished", "pruned", "failed", "stopped"]  # stopped: it can be gone on with


class Pool(Protocol):
    """Where trials come from."""

    def take(self) -> TrialEntry | None:
        """The next trial; none when there is none now. Called by one thread at a time."""

    def done(self, entry: TrialEntry, ending: Ending) -> None:
        """Told when a trial has ended."""

    @property
    def is_empty(self) -> bool:
        """Whether no more will come, whatever ends."""


@dataclass(slots=True)
class Board:
    """How the trials of this command stand, shared by its threads."""

    running: set[str] = field(default_factory=set)
    steps: dict[str, int] = field(default_factory=dict)  # trial -> the farthest that it has come, attempts that fell back included
    finished: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # trial -> why
    stopped: dict[str, str] = field(default_factory=dict)  # what can be gone on with
    pruned: set[str] = field(default_factory=set)  # stopped early, because others dominate them
    lock: threading.Lock = field(default_factory=threading.Lock)


class TrialConsole(Console):
    """What a trial has to say, with its name before it, and its progress on the sweep's board."""

    def __init__(self, console: Console, trial_id: str, come_to: Callable[[int], None]) -> None:
        """
        Args:
            console: of the command.
            trial_id: of the trial.
            come_to: told at which step it is.
        """
        super().__init__()
        self._console, self._trial_id, self._come_to = console, trial_id, come_to

    def say(self, text: str) -> None:
        self.note(text)

    def note(self, text: str) -> None:
        self._console.note(f"{self._trial_id}: {text}")

    def warn(self, text: str) -> None:
        self._console.warn(f"{self._trial_id}: {text}")

    @contextmanager
    def progress(self, what: str, total: float, unit: str, done: float = 0) -> Iterator[Callable[..., None]]:
        step = int(done)
        self._come_to(step)

        def advance(amount: float, note: str = "") -> None:
            nonlocal step
            step += int(amount)
            self._come_to(step)

        yield advance


class Runner:
    """Of one command."""

    def __init__(self, sweep: SweepDirectory, pool: Pool, console: Console, *, cluster: "SharedCluster", at_once: int) -> None:
        """
        Args:
            sweep: the caller holds its lock.
            pool: of trials, whose run directories are made.
            console: told what is done.
            cluster: open.
            at_once: trials side by side.
        """
        self._sweep, self._pool, self._console, self._cluster, self._at_once = sweep, pool, console, cluster, at_once
        self.board = Board()
        self._said: set[str] = set()
        self._trouble: Exception | None = None  # of the sweep itself, not of a trial: no more trials are begun
        self._advance: Callable[..., None] = lambda amount, note: None

    def to_the_end(self, look: Callable[[Board], None], advance: Callable[..., None]) -> None:
        """Train trials until none is left or somebody asks to stop. Call it in the main thread, with signals noted.

        Args:
            look: called again and again, while trials are trained.
            advance: told how many steps were made more, and how the sweep stands.

        Raises:
            InfrastructureError: what the sweep is to remember cannot be written.
        """
        self._advance = advance
        threads = [threading.Thread(target=self._work, name=f"trial-{number}") for number in range(self._at_once)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            if self._sweep.stop_request.exists():
                self._sweep.stop_request.unlink()
                asked.ask_to_stop(signal.SIGTERM)
            self._look(look)
            for thread in threads:
                thread.join(_LOOK_SECONDS / len(threads))
        if isinstance(self._trouble, OSError):
            raise InfrastructureError(f"{self._sweep.root}: {self._trouble}. Make room or mend the disk, and go on.") from self._trouble
        if self._trouble:
            raise self._trouble

    def _look(self, look: Callable[[Board], None]) -> None:
        """A file that cannot be read now does not leave the threads without the one that waits for them."""
        try:
            look(self.board)
        except (OrchestratorError, OSError) as error:
            if str(error) not in self._said:
                self._said.add(str(error))
                self._console.warn(f"{self._sweep.root}: {error}")

    def _work(self) -> None:
        try:
            self._train_all()
        except Exception as error:  # it is raised where the command waits; what other threads train comes to its end
            self._trouble = self._trouble or error

    def _train_all(self) -> None:
        while not (asked.asked_to_stop() or self._trouble):
            with self.board.lock:
                entry = self._pool.take()
                if entry:
                    self.board.running.add(entry.trial_id)
            if entry:
                self._train(entry)
            elif self._pool.is_empty:
                return
            else:
                time.sleep(_LOOK_SECONDS)

    def _train(self, entry: TrialEntry) -> None:
        name = entry.trial_id
        ending = self._ending(name)
        with self.board.lock:
            self.board.running.remove(name)
            if ending == "finished":
                self.board.finished.append(name)
            self._pool.done(entry, ending)
        if ending == "finished":
            self._console.note(f"{name}: finished")

    def _ending(self, name: str) -> Ending:
        """Train a trial, to whatever end it comes to."""
        run = self._sweep.run(name)
        try:
            resume(run, TrialConsole(self._console, name, lambda step: self._come_to(name, step)), cluster=self._cluster)
        except OrchestratorError as error:
            is_over = error.reason_class in OVER_FOR_GOOD and not isinstance(error, _ELSEWHERE)
            return self._failed(name, str(error)) if is_over else self._stopped(name, str(error))
        except Exception as error:  # of one trial; the others go on (law 5: it has a reason all the same)
            traceback.print_exc()
            return self._failed(name, f"{type(error).__name__}: {error}")
        status = read_status(run)
        if status.state == "finished":
            return "finished"
        return "pruned" if name in self.board.pruned else self._stopped(name, status.reason or "")

    def _come_to(self, name: str, step: int) -> None:
        with self.board.lock:
            before = self.board.steps.get(name, 0)
            self.board.steps[name] = max(before, step)
            running, finished = len(self.board.running), len(self.board.finished)
        self._advance(max(0, step - before), note=f"{running} running, {finished} finished, {len(self.board.failed)} failed")

    def _stopped(self, name: str, reason: str) -> Ending:
        self.board.stopped[name] = reason
        if not asked.asked_to_stop():
            self._console.warn(f"{name}: {reason}")
        return "stopped"

    def _failed(self, name: str, reason: str) -> Ending:
        self.board.failed[name] = reason
        enter_verdict(self._sweep, name, Verdict(word="failed", step=last_step(self._sweep.run(name)), reason=reason))
        self._console.warn(f"{name} has failed, and the others go on: {reason}")
        return "failed"
