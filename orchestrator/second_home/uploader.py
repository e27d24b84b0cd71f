"""The process that copies a run's checkpoints to its second home: `python -m orchestrator.second_home.uploader RUN SECONDS`.

It looks for new COMMITs and copies what the second home lacks, newest first. Nothing of the run waits for it. When it is asked to finish or
its parent dies, it has SECONDS left, and ends itself after them, whatever the second home does (`orchestrator/runs/companion.py`).
"""

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

from orchestrator.checkpoints.store import COMMIT, Checkpoint, DamagedError, committed_directories, open_checkpoint
from orchestrator.config.load import read_config
from orchestrator.config.operation import CheckpointsConfig
from orchestrator.config.secrets import without_secrets
from orchestrator.errors import CheckpointError, ConfigError, InfrastructureError
from orchestrator.runs.companion import be_companion, leave
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.events import append_event
from orchestrator.runs.fence import newest_token
from orchestrator.runs.locks import next_holder
from orchestrator.second_home.catalogue import open_all
from orchestrator.second_home.home import SecondHome
from orchestrator.second_home.run_files import RUN_FILES, pack
from orchestrator.second_home.upload import GoneError, put, thin_out, upload

_LOOK_EVERY_SECONDS = 2.0
_AGAIN_SECONDS, _AGAIN_AT_MOST_SECONDS = 5.0, 600.0
_LAST_TRIES = 3  # in a row, once training has ended
_NICE = 10
_LOG = logging.getLogger(__name__)


class Uploader:
    """A run's checkpoints on their way to its second home."""

    def __init__(self, run: RunDirectory, checkpoints: CheckpointsConfig, asked: Event) -> None:
        """
        Args:
            run: the caller holds its upload lock.
            checkpoints: of its configuration, with a second home.
            asked: set when no more checkpoints will come.
        """
        self._run, self._checkpoints, self._asked = run, checkpoints, asked
        self._there: dict[str, Checkpoint] = {}  # committed at the second home
        self._files: dict[str, int] = {}  # that were at the second home when it was asked
        self._same: dict[str, int] = {}  # whose copy is there: when the COMMIT here was written, in nanoseconds
        self._damaged: dict[str, str] = {}  # here, and why
        self._failures = 0  # in a row
        self._last_failure = ""

    def work(self) -> None:
        """Copy until asked to finish, again after every failure; after being asked, until a few have come in a row.

        Raises:
            ConfigError: the second home is not this run's.
            CheckpointError: a checkpoint is damaged here.
            InfrastructureError: the second home lacks something.
        """
        while True:
            try:
                self._keep_up()
                break
            except GoneError as gone:
                _LOG.info("%s was deleted here, and is not copied", gone)
            except ConfigError as error:
                self._tell_failure(str(error))
                raise
            except Exception as error:
                _LOG.exception("the second home failed")
                self._tell_failure(str(error))
                if self._asked.is_set() and self._failures >= _LAST_TRIES:
                    raise InfrastructureError(self.what_is_missing()) from error
                self._wait_longer()
        if self._damaged:
            raise CheckpointError("; ".join(self._damaged.values()))

    def what_is_missing(self) -> str:
        """In a sentence."""
        names = [directory.name.removeprefix("step_").lstrip("0") for directory in self._lacking()]
        what = f"lacks the checkpoints of steps {', '.join(names)}" if names else "may lack the run's last records"
        return f"{self._checkpoints.second_home} {what}. {self._last_failure or 'It was still being copied to.'}"

    def _keep_up(self) -> None:
        assert self._checkpoints.second_home is not None
        home = SecondHome(self._checkpoints.second_home, answer_seconds=self._checkpoints.answer_seconds)
        self._look_there(home)
        while True:
            is_last = self._asked.is_set()  # before looking: who asks has saved everything
            while (directory := next(self._lacking(), None)) is not None:
                self._copy(home, directory)
            if is_last:
                break
            self._asked.wait(_LOOK_EVERY_SECONDS)
        if newest := max(self._same, default=None):
            put(home, f"{newest}/{RUN_FILES}", pack(self._run))  # the last lines of the ledger and the records
        self._failures = 0

    def _look_there(self, home: SecondHome) -> None:
        self._files = home.files()
        self._there, self._same = open_all(home, self._files), {}
        own = self._run.wandb_id.read_text(encoding="ascii").strip()
        for name, checkpoint in self._there.items():
            if checkpoint.manifest.get("wandb_id") != own:
                raise ConfigError(
                    f"{home.url}/{name} is of another run, and nothing is copied over it. Set checkpoints.second_home in "
                    f"{self._run.config} to a place of this run's own, and resume."
                )
        here = [directory.name for directory in committed_directories(self._run.checkpoints)]
        if self._there and max(self._there) > max(here, default=""):
            self._tell(
                "second_home_ahead",
                message=f"{home.url} has {max(self._there)}, which is newer than all checkpoints here. To go on from there: stop this run, "
                f"and midtrain resume {home.url}",
            )

    def _lacking(self) -> Iterator[Path]:
        """The checkpoints here whose copies are not there, newest first."""
        for directory in reversed(committed_directories(self._run.checkpoints)):
            with suppress(FileNotFoundError):  # deleted meanwhile
                if self._same.get(directory.name) != _moment(directory) and directory.name not in self._damaged:
                    yield directory

    def _copy(self, home: SecondHome, directory: Path) -> None:
        began = time.monotonic()
        try:
            moment, checkpoint = _moment(directory), open_checkpoint(directory)
            copied = self._there.get(directory.name)
            if copied is None or copied.manifest != checkpoint.manifest:
                size = upload(home, checkpoint, there=self._files, run_files=lambda: pack(self._run))
                self._there[directory.name] = checkpoint
                _LOG.info("%s is copied", directory.name)
                seconds = round(time.monotonic() - began, 3)
                self._tell("uploaded", step=checkpoint.step, kind=checkpoint.manifest.get("kind"), seconds=seconds, bytes=size)
                self._thin_out(home)
            self._same[directory.name] = moment
            self._failures, self._last_failure = 0, ""
        except FileNotFoundError:
            raise GoneError(str(directory)) from None
        except DamagedError as error:
            self._damaged[directory.name] = str(error)
            raise

    def _thin_out(self, home: SecondHome) -> None:
        here = [directory.name for directory in committed_directories(self._run.checkpoints)]
        there = [checkpoint for _, checkpoint in sorted(self._there.items())]
        for gone in thin_out(home, there, here, self._files):
            del self._there[gone.directory.name]
            _LOG.info("%s is deleted at the second home", gone.directory.name)

    def _tell_failure(self, said: str) -> None:
        """Each reason once, until there is another or a copy has succeeded."""
        self._failures += 1
        said = without_secrets(said, os.environ)
        if said != self._last_failure:
            self._last_failure = said
            self._tell("upload_failed", message=f"not copied to the second home: {said} The run goes on. Log: {self._run.upload_log}")

    def _tell(self, event: str, **values: Any) -> None:
        token = newest_token(self._run)
        try:
            append_event(self._run, token.attempt if token else 0, event, **values)
        except OSError:
            _LOG.exception("an event cannot be entered")

    def _wait_longer(self) -> None:
        seconds = min(_AGAIN_SECONDS * 2 ** (self._failures - 1), _AGAIN_AT_MOST_SECONDS)
        until = time.monotonic() + seconds
        if not self._asked.wait(seconds):
            return
        time.sleep(max(0.0, min(until - time.monotonic(), _AGAIN_SECONDS)))


def _moment(directory: Path) -> int:
    return (directory / COMMIT).stat().st_mtime_ns


def main() -> None:
    """Copy a run's checkpoints until asked to finish."""
    run, seconds = RunDirectory(Path(sys.argv[1])), float(sys.argv[2])
    os.nice(_NICE)  # the ranks go first
    asked, error = Event(), None
    uploader = Uploader(run, read_config(run.config).checkpoints, asked)
    be_companion(seconds, asked, lambda granted: leave(InfrastructureError(f"{uploader.what_is_missing()} It had {granted:g} seconds.")))
    with next_holder(run.upload_lock):  # that of an attempt that was just killed may need its last seconds
        try:
            uploader.work()
        except Exception as failure:
            error = failure
        leave(error)


if __name__ == "__main__":
    main()
