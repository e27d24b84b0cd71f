"""Saving beside training: the state is copied to host memory, and a thread of each rank writes it while the next steps are made."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import torch

from orchestrator.checkpoints.commit import SaveFailed, save_checkpoint
from orchestrator.checkpoints.loading import host_copy
from orchestrator.checkpoints.ranks import Ranks
from orchestrator.checkpoints.retention import thin_out
from orchestrator.checkpoints.state_file import RankState
from orchestrator.errors import InfrastructureError, OrchestratorError
from orchestrator.training.fragments import TrainedState

Tell = Callable[..., None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Save:
    """One save.

    Attributes:
        step: updates made so far.
        facts: what the manifest records beside the files; `kind` is science or insurance.
        stall_seconds: how long training stood still for it.
    """

    step: int
    facts: Mapping[str, Any]
    stall_seconds: float


class Saver:
    """Saves of one attempt, one in flight at a time. Every rank calls its methods at the same steps."""

    def __init__(self, checkpoints: Path, ranks: Ranks, *, max_failed_saves: int, may_commit: Callable[[], bool], tell: Tell) -> None:
        """
        Args:
            checkpoints: the run's checkpoints directory.
            ranks: all of them, over a process group that nothing else uses.
            max_failed_saves: how many in a row are borne.
            may_commit: whether the run is still this attempt's.
            tell: enters an event; called on rank 0 alone.
        """
        self._checkpoints, self._ranks, self._may_commit = checkpoints, ranks, may_commit
        self._max_failed_saves = max_failed_saves
        self._tell = tell if ranks.rank == 0 else lambda *_, **__: None
        self._thread: Thread | None = None
        self._buffer: torch.Tensor | None = None
        self._failed: list[str] = []  # why, of the saves since the last one that succeeded
        self._error: BaseException | None = None
        self._newest = 0

    def begin(self, step: int, state: TrainedState, facts: Mapping[str, Any]) -> float:
        """Copy the state, and save the copy. A save before this one is waited for.

        Returns:
            Seconds that training stood still.

        Raises:
            InfrastructureError: too many saves have failed in a row.
        """
        began = time.perf_counter()
        self._join()
        copied = host_copy(state, self._buffer)
        self._buffer = torch.from_numpy(copied.values) if self._buffer is None else self._buffer
        stalled = time.perf_counter() - began
        save = Save(step=step, facts={**facts, "updates": state.updates}, stall_seconds=stalled)
        self._thread = Thread(target=self._run, args=(save, copied), name=f"save-{step}", daemon=True)
        self._thread.start()
        return stalled

    def finish(self) -> float:
        """Wait until the last save is there.

        Returns:
            Seconds that it took.

        Raises:
            InfrastructureError: it failed.
        """
        began = time.perf_counter()
        self._join()
        if self._failed:
            raise self._unsaved()
        return time.perf_counter() - began

    def settle(self) -> int:
        """Wait for the save in flight.

        Returns:
            The step of the newest save that succeeded, 0 for none.
        """
        self._join()
        return self._newest

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            raise self._error
        if len(self._failed) > self._max_failed_saves:
            raise self._unsaved()

    def _unsaved(self) -> OrchestratorError:
        return InfrastructureError(
            f"{len(self._failed)} saves in a row have failed (checkpoints.max_failed_saves={self._max_failed_saves}), the last with "
            f"{self._failed[-1]}. Free space below {self._checkpoints}, and `midtrain resume`."
        )

    def _run(self, save: Save, copied: RankState) -> None:
        began = time.perf_counter()
        try:
            size = save_checkpoint(self._checkpoints, save.step, copied, facts=save.facts, ranks=self._ranks, may_commit=self._may_commit)
        except SaveFailed as error:
            self._failed.append(str(error))
            self._tell(
                "save_failed",
                step=save.step,
                stall_seconds=round(save.stall_seconds, 3),
                message=f"step {save.step:,} was not saved: {error}. The run goes on with the checkpoint before; "
                f"{len(self._failed)} of {self._max_failed_saves} failed saves in a row that are borne.",
            )
        except BaseException as error:  # told to the training thread at its next save
            self._error = error
        else:
            self._failed.clear()
            self._newest = save.step
            seconds = time.perf_counter() - began
            kind = save.facts.get("kind")
            self._tell(
                "saved", step=save.step, kind=kind, stall_seconds=round(save.stall_seconds, 3), seconds=round(seconds, 3), bytes=size
            )
            self._thin_out()

    def _thin_out(self) -> None:
        if self._ranks.rank == 0:
            try:
                if gone := thin_out(self._checkpoints):
                    self._tell("deleted", steps=gone)
            except (OSError, OrchestratorError) as error:
                self._tell("delete_failed", message=f"old checkpoints could not be deleted: {error}")
