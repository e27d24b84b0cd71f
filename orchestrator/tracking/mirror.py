"""The process that mirrors a run to W&B: `python -m orchestrator.tracking.mirror RUN MODE SECONDS`. Nothing of the run waits for it.

It pushes lines of metrics.jsonl as they are written. When it is asked to finish or its parent dies, it has SECONDS left, and ends itself
after them, whatever W&B does (`orchestrator/runs/companion.py`).
"""

import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import Literal

from orchestrator.config.load import read_config
from orchestrator.errors import ConfigError, InfrastructureError
from orchestrator.runs.companion import be_companion, leave
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.durable import write_whole
from orchestrator.runs.locks import next_holder
from orchestrator.tracking.tail import Tail
from orchestrator.tracking.traces import kill_children, make_folder, remove_folder
from orchestrator.tracking.wandb_id import wandb_id
from orchestrator.tracking.wandb_run import WandbRun, end_wandb

Mode = Literal["offline", "online"]

_LOOK_EVERY_SECONDS = 1.0
_AGAIN_SECONDS, _AGAIN_AT_MOST_SECONDS = 60.0, 3600.0
_LOG = logging.getLogger(__name__)


class Mirror:
    """A run's lines on their way to W&B."""

    def __init__(self, run: RunDirectory, mode: Mode, asked: Event) -> None:
        """
        Args:
            run: the caller holds its W&B lock.
            mode: where to push to.
            asked: set when no more lines will come.
        """
        self._run, self._mode, self._asked = run, mode, asked

    def work(self) -> None:
        """Push until asked to finish, again after every failure, and once more after being asked.

        Raises:
            ConfigError: W&B will never take the lines.
            Exception: what W&B raised last; it lacks lines.
        """
        for wait_seconds in _waits():
            is_last = self._asked.is_set()
            try:
                return self._push()
            except ConfigError:
                raise
            except Exception as error:
                _LOG.exception("W&B failed")
                if is_last:
                    raise error
            finally:
                end_wandb()
            self._asked.wait(wait_seconds)

    def _push(self) -> None:
        """Push what W&B lacks, as lines come, until asked to finish; then see that it has them all."""
        target, tail = self._open(), Tail(self._run.metrics)
        begin = next_step = self._next_step(target)
        while True:
            is_last = self._asked.is_set()  # before reading: who asks has written everything
            if lines := [line for line in tail.read() if line["step"] >= next_step]:  # after a rewind, earlier ones are written again
                next_step = lines[-1]["step"] + 1
                if self._mode == "offline":
                    write_whole(self._offline_step, f"{next_step}\n".encode())  # first: rather a line that is missing there than one twice
                for line in lines:
                    target.log(line)
            if is_last:
                break
            self._asked.wait(_LOOK_EVERY_SECONDS)
        target.finish()
        if self._mode == "online" and next_step > begin:
            self._verify(next_step)

    def _open(self) -> WandbRun:
        config = read_config(self._run.config)
        return WandbRun(
            self._mode,
            wandb_id=wandb_id(self._run),
            project=config.tracking.project,
            name=config.run.name,
            directory=self._run.root,
            config=asdict(config),
        )

    def _next_step(self, target: WandbRun) -> int:
        """The first step that W&B lacks: the service knows, offline files cannot be asked."""
        if self._mode == "offline" and self._offline_step.exists():
            return int(self._offline_step.read_text(encoding="ascii"))
        return target.next_step

    def _verify(self, next_step: int) -> None:
        again = self._open()
        again.finish()
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
