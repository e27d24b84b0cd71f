"""What a rank does about updates that were refused: skip them, roll back, or stop, as configured; all ranks decide the same."""

from collections.abc import Callable
from typing import Any

import torch

from orchestrator.checkpoints.ranks import Ranks, from_rank_zero
from orchestrator.config.training import NumericsConfig
from orchestrator.errors import NumericsError
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.events import append_event
from orchestrator.runs.skips import Skip, read_skips, skipped_steps, write_skip
from orchestrator.training.guard import SpikeGuard


class Numerics:
    """Of one attempt. All ranks call its methods together.

    Attributes:
        skipped: the steps that train nothing, counted from 1.
        guard: of the updates to come; none when no leap is minded.
    """

    def __init__(self, run: RunDirectory, config: NumericsConfig, *, attempt: int, ranks: Ranks) -> None:
        """
        Args:
            run: its directory.
            config: what to do.
            attempt: this one's number.
            ranks: all of them; rank 0 writes.
        """
        self._run, self._config, self._attempt, self._ranks = run, config, attempt, ranks
        self.skipped = skipped_steps(from_rank_zero(ranks, lambda: read_skips(run)))  # file systems may show ranks older files
        self.guard: SpikeGuard | None = None

    def open_guard(self, device: torch.device, history: list[float]) -> None:
        """Begin to look for leaps, with the losses that the checkpoint's guard looked back on."""
        if self._config.spike != "ignore":
            self.guard = SpikeGuard(
                window_steps=self._config.window_steps, sigmas=self._config.spike_sigmas, device=device, history=history
            )

    @property
    def history(self) -> list[float]:
        """What a checkpoint must hold of the guard."""
        return self.guard.history() if self.guard else []

    def refused(self, step: int, *, newest_checkpoint: Callable[[], int]) -> None:
        """Deal with a step whose update was refused.

        Args:
            step: counted from 1.
            newest_checkpoint: waits for the save in flight, in the phase of saves, and gives the step of the newest checkpoint, 0 for none.

        Raises:
            NumericsError: the attempt is to end: to begin again at the checkpoint, or because it was to stop, or too much was skipped.
        """
        is_spike = self.guard is not None and self.guard.was_spike
        what = "its loss leapt above those before" if is_spike else "its loss or gradient was not finite"
        policy = self._config.spike if is_spike else self._config.nonfinite
        if policy == "stop":
            raise NumericsError(
                f"step {step}: {what}, and training.numerics asks to stop. Resume with a lower training.learning_rate, or with skip or "
                f"rollback there."
            )
        first = newest_checkpoint() + 1 if policy == "rollback" else step
        self._skip(Skip(first_step=first, last_step=step, reason=what, attempt=self._attempt))
        if policy == "rollback":
            raise NumericsError(f"step {step}: {what}. Going back to step {first - 1}, from where steps {first} to {step} are skipped.")

    def _skip(self, skip: Skip) -> None:
        self.skipped |= skipped_steps([skip])
        limit = self._config.max_skipped_steps
        if len(self.skipped) > limit:
            raise NumericsError(
                f"step {skip.last_step}: {skip.reason}, and with it {len(self.skipped)} steps of the run would train nothing, over "
                f"training.numerics.max_skipped_steps={limit}. Lower training.learning_rate, look at the data (`midtrain replay --step "
                f"{skip.last_step}`), or raise the limit, and resume."
            )
        if self._ranks.rank == 0:
            write_skip(self._run, skip)
            which = f"step {skip.last_step}" if skip.first_step == skip.last_step else f"steps {skip.first_step} to {skip.last_step}"
            values: dict[str, Any] = {"first_step": skip.first_step, "last_step": skip.last_step}
            append_event(self._run, self._attempt, "skipped", **values, message=f"{which} skipped: {skip.reason}")
        self._ranks.barrier()  # it is on disk before any rank goes on, or ends the attempt
