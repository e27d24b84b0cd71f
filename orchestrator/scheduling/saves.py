"""A run's checkpoints, from a rank: what it goes on from, and what a save records."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.checkpoints.choosing import newest_verified, open_verified
from orchestrator.checkpoints.fitting import changes, check_fits
from orchestrator.checkpoints.loading import load_state
from orchestrator.checkpoints.saver import Saver
from orchestrator.checkpoints.store import Checkpoint
from orchestrator.config.load import config_values
from orchestrator.config.schema import Config
from orchestrator.errors import CheckpointError
from orchestrator.mixture.plan import Plan
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.events import append_event
from orchestrator.runs.fence import Token, still_ours
from orchestrator.scheduling.process_group import TorchRanks, ranks_beside_training
from orchestrator.tracking.wandb_id import wandb_id
from orchestrator.training.engine import Engine


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a run is, besides the engine's state.

    Attributes:
        step: updates made so far, those that were skipped counted.
        tokens: trained so far of each source.
        learning_rate: of the last step.
        guard: the losses that the guard looks back on.
    """

    step: int
    tokens: Sequence[int]
    learning_rate: float
    guard: Sequence[float]


class RunSaves:
    """Saves and loads of one attempt. All ranks call its methods together."""

    def __init__(self, run: RunDirectory, config: Config, plan: Plan, *, token: Token, ranks: TorchRanks) -> None:
        self._run, self._config, self._plan, self._attempt, self._ranks = run, config, plan, token.attempt, ranks
        self._tell = partial(append_event, run, token.attempt)
        self._began = time.monotonic()  # the newest save that was wished for or made, or the attempt
        self._base_checksum: int | None = None
        self._newest = 0
        self._saver = Saver(
            run.checkpoints,
            ranks_beside_training(config.scheduling.deadlines.save),
            max_failed_saves=config.checkpoints.max_failed_saves,
            may_commit=lambda: still_ours(run, token),
            tell=self._tell,
        )

    def resume(self, engine: Engine) -> dict[str, Any]:
        """Bring the engine to where the run's newest checkpoint is that is whole.

        Returns:
            `step`, the updates made so far, `tokens`, those trained so far of each source, and `guard`, the losses that it looks back on.

        Raises:
            CheckpointError: none can be trusted, or it is of another model, plan or configuration.
        """
        checkpoint = newest_verified(self._run, self._ranks, self._say_damaged)
        self._base_checksum = engine.base_checksum()
        if checkpoint is None:
            if start := self._config.model.start_from:
                self._load(open_verified(Path(start), self._ranks), engine)
            return {"step": 0, "tokens": [0] * len(self._plan.sources), "guard": []}
        values = config_values(self._config)
        check_fits(checkpoint, self._plan, values)
        self._load(checkpoint, engine)
        self._say_resumed(checkpoint, values)
        self._newest = checkpoint.step
        return {"step": checkpoint.step} | {key: checkpoint.manifest[key] for key in ("tokens", "guard")}

    def _load(self, checkpoint: Checkpoint, engine: Engine) -> None:
        if checkpoint.manifest["base_checksum"] != self._base_checksum:
            raise CheckpointError(
                f"{checkpoint.directory} holds adapters of another base model than model.path has weights of. Put those back that "
                f"they were trained on."
            )
        load_state(checkpoint.directory, checkpoint.manifest, engine.state, self._ranks)

    def wants_insurance(self) -> bool:
        """Whether an insurance save is due, by rank 0's clock; it says so once an interval, as the ranks agree on it a step later."""
        seconds = self._config.checkpoints.insurance_minutes * 60
        is_due = self._ranks.rank == 0 and 0 < seconds <= time.monotonic() - self._began
        if is_due:
            self._began = time.monotonic()
        return is_due

    def newest_step(self) -> int:
        """Of the newest checkpoint, 0 for none; waits for the save in flight."""
        return max(self._newest, self._saver.settle())

    def begin(self, progress: Progress, engine: Engine, kind: str) -> None:
        """Save beside training.

        Args:
            progress: of the run.
            engine: whose state.
            kind: science or insurance.

        Raises:
            InfrastructureError: too many saves have failed in a row.
        """
        self._began = time.monotonic()
        facts = self._facts(progress) | {"kind": kind} if self._ranks.rank == 0 else {}
        self._saver.begin(progress.step, engine.state, facts)

    def _facts(self, progress: Progress) -> dict[str, Any]:
        """What the manifest records beside the files, which rank 0 writes."""
        return {
            "attempt": self._attempt,
            "world_size": self._ranks.world_size,
            "zero_stage": self._config.training.zero_stage,
            "plan": self._plan.fingerprint,
            "sequences": progress.step * self._plan.sequences_per_step,
            "tokens": list(progress.tokens),
            "learning_rate": progress.learning_rate,
            "seed": self._config.training.seed,  # with step and rank it gives the random numbers of an update
            "guard": list(progress.guard),
            "base_checksum": self._base_checksum,
            "wandb_id": wandb_id(self._run),
            "config": config_values(self._config),
        }

    def finish(self) -> None:
        """Wait for the last save.

        Raises:
            InfrastructureError: it failed.
        """
        waited = self._saver.finish()
        if self._ranks.rank == 0:
            self._tell("waited_for_save", stall_seconds=round(waited, 3))

    def _say_damaged(self, why: str, where: Path) -> None:
        self._tell("set_aside", message=f"{why}. The checkpoint is set aside as {where.name}, and the one before it is taken.")

    def _say_resumed(self, checkpoint: Checkpoint, values: dict[str, Any]) -> None:
        if self._ranks.rank == 0:
            manifest = checkpoint.manifest
            before, now = (manifest["world_size"], manifest["zero_stage"]), (self._ranks.world_size, self._config.training.zero_stage)
            resharded = f", saved at world size {before[0]}, ZeRO {before[1]}, and loaded at {now[0]}, {now[1]}" if before != now else ""
            changed = [f"{key}: {old} -> {new}" for key, old, new in changes(manifest["config"], values)]
            self._tell("resumed", step=checkpoint.step, changed=changed, message=f"resumed from step {checkpoint.step:,}{resharded}")
