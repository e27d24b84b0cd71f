"""The one door to DeepSpeed: a model that can take a step, measure a loss, save itself and load itself."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import deepspeed
import torch
import xxhash
from deepspeed.runtime.checkpoint_engine.torch_checkpoint_engine import TorchCheckpointEngine
from torch import Tensor

from orchestrator.config.schema import ModelConfig, TrainingConfig
from orchestrator.errors import CheckpointError
from orchestrator.training.deepspeed_config import deepspeed_config
from orchestrator.training.losses import token_losses
from orchestrator.training.model import build_model

_TAG = "state"


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file of a checkpoint that this rank wrote: its path below the checkpoint, bytes, and xxh3-128."""

    path: str
    size_bytes: int
    xxhash: str


class Engine:
    """A model under ZeRO. Every method is a collective: all ranks call it together."""

    def __init__(self, model: ModelConfig, training: TrainingConfig, world_size: int) -> None:
        """
        Args:
            model: the base model.
            training: the optimisation.
            world_size: ranks; the process group exists already.
        """
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # builds for 48 s, and leaves 66 MiB a rank in /dev/shm
        deepspeed.init_distributed()
        settings = deepspeed_config(training, world_size)
        module = build_model(model, training, settings if training.zero_stage == 3 else None)
        self._engine, *_ = deepspeed.initialize(model=module, model_parameters=_parameter_groups(module), config=settings)
        self._engine.checkpoint_engine = self._files = _RecordingFiles(self._engine.checkpoint_engine)
        self._engine.clip_fp32_gradients = self._clip_unsharded
        self._unsharded_norm = 0.0
        self._micro_batch = training.micro_batch
        self._seed = training.seed
        self.module: torch.nn.Module = module
        self.device: torch.device = self._engine.device

    def step(self, step: int, sequences: Tensor, learning_rate: float) -> Iterator[tuple[Tensor, slice]]:
        """Make one update, micro batch by micro batch.

        Args:
            step: counted from 0; with the rank and the seed it decides dropout, so that nothing of it need be saved.
            sequences: (n, sequence_length + 1) token ids of this rank, int64.
            learning_rate: of this update.

        Yields:
            For each micro batch the (sequences, sequence_length) losses of its tokens, and which of `sequences` they are. The update is
            made when all were taken.
        """
        self._engine.train()
        torch.manual_seed(hash((self._seed, step, self._engine.global_rank)))
        for group in self._engine.optimizer.param_groups:
            group["lr"] = learning_rate
        for start in range(0, len(sequences), self._micro_batch):
            part = slice(start, start + self._micro_batch)
            losses = self._losses(sequences[part])
            self._engine.backward(losses.mean())
            self._engine.step()
            yield losses, part

    def heldout_losses(self, sequences: Tensor) -> Tensor:
        """Measure without learning.

        Args:
            sequences: (n, sequence_length + 1) token ids of this rank, int64; n is the same on every rank.

        Returns:
            (n,) mean loss of each sequence, float64.
        """
        self._engine.eval()
        with torch.no_grad():
            parts = [self._losses(part).mean(dim=1, dtype=torch.float64) for part in torch.split(sequences, self._micro_batch)]
        return torch.cat(parts)

    def gradient_norm(self) -> float:
        """The global norm of the last update's gradient, before clipping."""
        norm = self._engine.get_global_grad_norm()
        return self._unsharded_norm if norm is None else float(norm)

    def save(self, directory: Path, state: dict[str, Any]) -> list[WrittenFile]:
        """Write model, optimiser and `state`, durably.

        Args:
            directory: the checkpoint.
            state: what to hand back at `load`; values of JSON's types.

        Returns:
            What this rank wrote.
        """
        self._files.written.clear()
        self._engine.save_checkpoint(str(directory), tag=_TAG, client_state={"run_state": state}, save_latest=False)
        return [_describe(path, directory) for path in self._files.written]

    def load(self, directory: Path) -> dict[str, Any]:
        """Read what `save` wrote at the same world size and ZeRO stage.

        Raises:
            CheckpointError: DeepSpeed finds nothing to load.
        """
        path, state = self._engine.load_checkpoint(str(directory), tag=_TAG)
        if path is None:
            raise CheckpointError(
                f"{directory} cannot be loaded: DeepSpeed finds no {_TAG} in it. Remove its COMMIT and resume from the one before."
            )
        return dict(state["run_state"])

    def _clip_unsharded(self) -> None:
        """What DeepSpeed calls to clip float32 gradients at ZeRO stage 0; its own way there keeps the norm to itself."""
        self._unsharded_norm = float(torch.nn.utils.clip_grad_norm_(self.module.parameters(), self._engine.gradient_clipping()))

    def _losses(self, sequences: Tensor) -> Tensor:
        logits = self._engine(input_ids=sequences[:, :-1], use_cache=False).logits
        return token_losses(logits, sequences[:, 1:])


class _RecordingFiles(TorchCheckpointEngine):  # type: ignore[misc]
    """DeepSpeed's way of writing files, made durable and remembered."""

    def __init__(self, replaced: TorchCheckpointEngine) -> None:
        self.__dict__.update(replaced.__dict__)
        self.written: list[Path] = []

    def save(self, state_dict: Any, path: str) -> None:  # DeepSpeed passes these by name
        super().save(state_dict, path)
        with Path(path).open("rb") as file:
            os.fsync(file.fileno())
        self.written.append(Path(path))


def _describe(path: Path, directory: Path) -> WrittenFile:
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while chunk := file.read(1 << 24):
            digest.update(chunk)
    return WrittenFile(path.relative_to(directory).as_posix(), path.stat().st_size, digest.hexdigest())


def _parameter_groups(module: torch.nn.Module) -> Sequence[dict[str, Any]]:
    """Weight decay for matrices, none for norms and biases. Shapes are asked of DeepSpeed where it has partitioned them."""
    groups: dict[bool, list[torch.nn.Parameter]] = {True: [], False: []}
    for parameter in module.parameters():
        groups[len(getattr(parameter, "ds_shape", parameter.shape)) >= 2].append(parameter)
    decay = {"params": groups[True]}
    return [decay, {"params": groups[False], "weight_decay": 0.0}] if groups[False] else [decay]
