"""The process that mirrors a run to W&B: `python -m orchestrator.tracking.mirror RUN MODE SECONDS`. Nothing of the run waits for it.

It pushes lines of metrics.jsonl as they are written, and what goes beside them. When it is asked to finish or its parent dies, it has
SECONDS left, and ends itself after them, whatever W&B does (`orchestrator/runs/companion.py`).
"""

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import Literal

from orchestrator.config.load import read_config
from orchestrator.config.operation import TrackingConfig
from orchestrator.errors import ConfigError, DataError, InfrastructureError
from orchestrator.mixture.plan_file import read_plan
from orchestrator.runs.companion import be_companion, leave
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.durable import write_whole
from orchestrator.runs.lines import read_lines
from orchestrator.runs.locks import is_held, next_holder
from orchestrator.tracking.extras import Extras, Mirrored, mirrored
from orchestrator.tracking.ledger import Line, attempt_finder, end_of
from orchestrator.tracking.sent import Sent
from orchestrator.tracking.tail import Tail
from orchestrator.tracking.traces import kill_children, make_folder, remove_folder
from orchestrator.tracking.wandb_id import wandb_id
from orchestrator.tracking.wandb_run import Identity, WandbRun, end_wandb

Mode = Literal["offline", "online"]

_LOOK_EVERY_SECONDS = 1.0
_AGAIN_SECONDS, _AGAIN_AT_MOST_SECONDS = 60.0, 3600.0
_LOG = logging.getLogger(__name__)


class Mirror:
    """A run's lines on their way to W&B, and what goes beside them."""

    def __init__(self, run: RunDirectory, mode: Mode, asked: Event) -> None:
        """
        Args:
            run: the caller holds its W&B lock.
            mode: where to push to.
            asked: set when no more lines will come.
        """
        self._run, self._mode, self._asked = run, mode, asked
        self._ledger: list[Line] = []
        self._had_artifacts = False

    def work(self) -> None:
        """Push until asked to finish, again after every failure, and once more after being asked.

        Raises:
            ConfigError: W&B will never take the lines.
            InfrastructureError: it lacks lines, or has them all and lacks something else.
            Exception: what W&B raised last; it lacks lines.
        """
        with_artifacts = True
        for wait_seconds in _waits():
            is_last = self._asked.is_set()
            try:
                lacking = self._push(with_artifacts)
                break
            except ConfigError:
                raise
            except Exception as error:
                _LOG.exception("W&B failed")
                if is_last and not self._had_artifacts:
                    raise error
                with_artifacts &= not self._had_artifacts  # its own process may have died of them: the lines go without
            finally:
                end_wandb()
            if not is_last:
                self._asked.wait(wait_seconds)
        if lacking:
            raise InfrastructureError(f"W&B has all lines and has not taken {'; '.join(lacking)}.")

    def _push(self, with_artifacts: bool) -> list[str]:
        """Push what W&B lacks, as it comes, until asked to finish; then see that it has all lines.

        Returns:
            What it has not taken beside them.
        """
        self._had_artifacts = False
        of = self._read()
        target, tail = self._open(of, watched=self._watched(of.config.tracking)), Tail(self._run.metrics)
        self._had_artifacts = with_artifacts
        target.define()
        extras = Extras(of, target, Sent(self._run.wandb / f"sent_{self._mode}.json"), with_artifacts=with_artifacts)
        begin = next_step = self._next_step(target)
        while True:
            is_last = self._asked.is_set()  # before reading: who asks has written everything
            ledger = self._read_ledger()
            if lines := [line for line in tail.read() if line["step"] >= next_step]:  # after a rewind, earlier ones are written again
                next_step = lines[-1]["step"] + 1
                self._give(target, lines, ledger, next_step)
            extras.bring(ledger, lines, is_last=is_last)
            if is_last:
                break
            self._asked.wait(_LOOK_EVERY_SECONDS)
        self._finish(target)
        if self._mode == "online" and next_step > begin:
            self._verify(of, next_step)
        return extras.settle()

    def _give(self, target: WandbRun, lines: Sequence[Line], ledger: Sequence[Line], next_step: int) -> None:
        """Give it lines, each with the attempt that made it."""
        if self._mode == "offline":
            write_whole(self._offline_step, f"{next_step}\n".encode())  # first: rather a line that is missing there than one twice
        find = attempt_finder(ledger)
        for line in lines:
            attempt = find(line["step"])
            target.log(line if attempt is None else {**line, "attempt": attempt})

    def _read(self) -> Mirrored:
        try:
            plan = read_plan(self._run.plan)
        except ConfigError as error:
            _LOG.warning("W&B gets no plan: %s", error)
            plan = None
        return mirrored(self._run, read_config(self._run.config), plan)

    def _read_ledger(self) -> list[Line]:
        with suppress(OSError, DataError):  # what is in the way of the ledger is not in the way of the lines
            self._ledger = list(read_lines(self._run.attempts))
        return self._ledger

    def _watched(self, tracking: TrackingConfig) -> int | None:
        """The command, unless W&B is not to sample, or what is pushed was made long ago and elsewhere."""
        return os.getppid() if tracking.system_metrics and not self._asked.is_set() else None

    def _open(self, of: Mirrored, *, watched: int | None) -> WandbRun:
        tracking = of.config.tracking
        identity = Identity(
            wandb_id=wandb_id(self._run),
            project=tracking.project,
            name=of.config.run.name,
            group=tracking.group or of.config.run.name,
            tags=tracking.tags,
            config=asdict(of.config) | ({"plan_fingerprint": of.plan.fingerprint} if of.plan else {}),
            sources=[source["name"] for source in of.sources],
        )
        return WandbRun(self._mode, identity, directory=self._run.root, watched=watched)

    def _next_step(self, target: WandbRun) -> int:
        """The first step that W&B lacks: the service knows, offline files cannot be asked."""
        if self._mode == "offline" and self._offline_step.exists():
            return int(self._offline_step.read_text(encoding="ascii"))
        return target.next_step

    def _finish(self, target: WandbRun) -> None:
        target.finish(end_of(self._read_ledger(), is_held=is_held(self._run.lock)))

    def _verify(self, of: Mirrored, next_step: int) -> None:
        again = self._open(of, watched=None)
        self._finish(again)
        if again.next_step < next_step:
            raise InfrastructureError(f"W&B took the lines up to step {next_step - 1} and has kept them up to {again.next_step - 1}.")

    @property
    def _offline_step(self) -> Path:
        return self._run.wandb / "offline_step"


def main() -> None:
    """Mirror a run until asked to finish, and leave nothing behind."""
    run, mode, seconds = RunDirectory(Path(sys.argv[1])), sys.argv[2], float(sys.argv[3])
    asked, error = Event(), None
    be_companion(
        seconds, asked, lambda granted: _leave(run, InfrastructureError(f"W&B had not taken all lines after {granted:g} seconds."))
    )
    with next_holder(run.wandb_lock):  # that of an attempt that was just killed may need its last seconds
        make_folder(run)
        try:
            Mirror(run, "online" if mode == "online" else "offline", asked).work()
        except Exception as failure:
            error = failure
        _leave(run, error)


def _leave(run: RunDirectory, error: Exception | None) -> None:
    kill_children(os.getpid())
    remove_folder(run)
    leave(error)


def _waits() -> Iterator[float]:
    wait_seconds = _AGAIN_SECONDS
    while True:
        yield wait_seconds
        wait_seconds = min(2 * wait_seconds, _AGAIN_AT_MOST_SECONDS)


if __name__ == "__main__":
    main()
