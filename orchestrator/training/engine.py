"""The one door to DeepSpeed: a model that can take a step, measure a loss, save itself and load itself."""

import math
import os
from collections.abc import Iterable, Iterator, Sequence, Set
from operator import attrgetter
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import deepspeed
import torch
from deepspeed.accelerator import get_accelerator
from deepspeed.runtime.checkpoint_engine.torch_checkpoint_engine import TorchCheckpointEngine
from deepspeed.runtime.fp16.loss_scaler import LossScaler
from deepspeed.runtime.zero.config import ZeroStageEnum
from deepspeed.utils.tensor_fragment import fragment_address
from torch import Tensor

from orchestrator.config.training import ModelConfig, OffloadConfig, TrainingConfig
from orchestrator.errors import CheckpointError, ConfigError
from orchestrator.runs.durable import WrittenFile, hash_file
from orchestrator.training.deepspeed_config import deepspeed_config
from orchestrator.training.documents import keeps_documents_apart
from orchestrator.training.losses import sequence_means, token_losses
from orchestrator.training.model import build_model, shape_of

_TAG = "state"
_SAFE_CLASSES = [LossScaler, ZeroStageEnum, fragment_address]  # what DeepSpeed's files hold beside tensors and Python's own types
_BITS = {2: torch.int16, 4: torch.int32}  # integers as wide as a bfloat16 and a float32


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
        _require_async_io(training.offload)
        settings = deepspeed_config(training, world_size)
        module = build_model(model, training, settings if training.zero_stage == 3 else None)
        self._engine, *_ = deepspeed.initialize(model=module, model_parameters=_parameter_groups(module), config=settings)
        if training.precision == "bf16" and training.zero_stage == 0:
            _undo_first_update(self._engine.optimizer)
        if training.compile:
            self._engine.compile(compile_kwargs={"dynamic": False})  # few shapes occur, and each is worth a graph of its own
        self._engine.checkpoint_engine = self._files = _Files(self._engine.checkpoint_engine, frozen=_frozen_names(module))
        self._engine.clip_fp32_gradients = self._clip_unsharded
        self._is_adapted = training.lora is not None
        self._unsharded_norm = 0.0
        self._skipped_before = 0
        self._micro_batch = training.micro_batch
        self._seed = training.seed
        self.module: torch.nn.Module = module
        self.device: torch.device = self._engine.device

    def require_document_attention(self) -> None:
        """Make sure that documents do not see each other when positions begin anew with each.

        Raises:
            ConfigError: they do.
        """
        self._engine.eval()
        with torch.no_grad():
            apart = keeps_documents_apart(
                lambda tokens, positions: self._logits(tokens.to(self.device), positions.to(self.device)),
                vocabulary_size=self.module.config.get_text_config().vocab_size,  # type: ignore[operator, union-attr]
                num_sequences=self._micro_batch,
            )
        if not apart:
            attention = getattr(self.module.config, "_attn_implementation", None)
            raise ConfigError(
                f"feed.document_attention=true, and the base model's attention ({attention}) lets the documents of a sequence see each "
                f"other at training.micro_batch={self._micro_batch}. Set training.attention to sdpa, or feed.document_attention to false."
            )

    def step(
        self, step: int, sequences: Tensor, learning_rate: float, *, positions: Tensor | None = None, trained: Tensor | None = None
    ) -> Iterator[tuple[Tensor, slice]]:
        """Make one update, micro batch by micro batch.

        Args:
            step: counted from 0; with the rank and the seed it decides dropout, so that nothing of it need be saved.
            sequences: (n, sequence_length + 1) token ids of this rank, int64.
            learning_rate: of this update.
            positions: (n, sequence_length) position ids, int64; none: they run over the whole sequence.
            trained: (n, sequence_length) which labels carry loss, of all ranks or of none; none: all. The loss of the step is the mean over
                those of all micro batches and ranks.

        Yields:
            For each micro batch the (sequences, sequence_length) losses of all its tokens, and which of `sequences` they are. The update is
            made when all were taken.
        """
        self._engine.train()
        torch.manual_seed(hash((self._seed, step, self._engine.global_rank)))
        for group in self._engine.optimizer.param_groups:
            group["lr"] = learning_rate
        weights = None if trained is None else self._weights(trained)
        for start in range(0, len(sequences), self._micro_batch):
            part = slice(start, start + self._micro_batch)
            losses = self._losses(sequences[part], None if positions is None else positions[part])
            self._engine.backward(losses.mean() if weights is None else (losses * weights[part]).sum())
            self._engine.step()
            yield losses, part

    def _weights(self, trained: Tensor) -> Tensor:
        """Of each token's loss, so that the step's is their mean: DeepSpeed takes the mean over micro batches and ranks. One all-reduce."""
        count = trained.sum()
        torch.distributed.all_reduce(count)
        parts: int = self._engine.gradient_accumulation_steps() * torch.distributed.get_world_size()
        return trained * (parts / count.clamp(min=1))

    def heldout_losses(self, sequences: Tensor, *, positions: Tensor | None = None, trained: Tensor | None = None) -> Tensor:
        """Measure without learning.

        Args:
            sequences: (n, sequence_length + 1) token ids of this rank, int64; n is the same on every rank.
            positions: (n, sequence_length) position ids; none: they run over the whole sequence.
            trained: (n, sequence_length) which labels carry loss, at least one of each sequence; none: all.

        Returns:
            (n,) mean loss of each sequence over those, float64.
        """
        self._engine.eval()
        means = []
        with torch.no_grad():
            for start in range(0, len(sequences), self._micro_batch):
                part = slice(start, start + self._micro_batch)
                losses = self._losses(sequences[part], None if positions is None else positions[part])
                means.append(sequence_means(losses, None if trained is None else trained[part]))
        return torch.cat(means)

    def gradient_norm(self) -> float:
        """The global norm of the last update's gradient, before clipping; infinite when an update was skipped since the last call."""
        skipped, self._skipped_before = self._engine.skipped_steps > self._skipped_before, self._engine.skipped_steps
        if skipped:
            return math.inf
        norm = self._engine.get_global_grad_norm()
        return self._unsharded_norm if norm is None else float(norm)

    def save(self, directory: Path, state: dict[str, Any]) -> list[WrittenFile]:
        """Write what is trained (all of the model, or the adapters), optimiser and `state`, durably.

        Args:
            directory: the checkpoint.
            state: what to hand back at `load`; values of JSON's types.

        Returns:
            What this rank wrote.
        """
        self._files.written.clear()
        ours = {"run_state": state, "base_checksum": self._base_checksum()}
        self._engine.save_checkpoint(
            str(directory), tag=_TAG, client_state=ours, save_latest=False, exclude_frozen_parameters=self._is_adapted
        )
        return [WrittenFile(path.relative_to(directory).as_posix(), path.stat().st_size, hash_file(path)) for path in self._files.written]

    def load(self, directory: Path) -> dict[str, Any]:
        """Read what `save` wrote at the same world size and ZeRO stage.

        Raises:
            CheckpointError: DeepSpeed finds nothing to load, it belongs to another base model, or it holds what could be a program.
        """
        path, state = self._engine.load_checkpoint(str(directory), tag=_TAG, load_module_strict=not self._is_adapted)
        if path is None:
            raise CheckpointError(
                f"{directory} cannot be loaded: DeepSpeed finds no {_TAG} in it. Remove its COMMIT and resume from the one before."
            )
        if state["base_checksum"] != self._base_checksum():
            raise CheckpointError(
                f"{directory} holds adapters of another base model: the weights of model.path have changed since. Put the old ones back."
            )
        self._skipped_before = self._engine.skipped_steps
        return dict(state["run_state"])

    def _base_checksum(self) -> int:
        """Of this rank's part of the weights that are frozen, which no checkpoint holds."""
        frozen = [parameter for parameter in self.module.parameters() if not parameter.requires_grad]
        return checksum(own_part(parameter, self._engine.global_rank) for parameter in frozen)

    def _clip_unsharded(self) -> None:
        """What DeepSpeed calls to clip float32 gradients at ZeRO stage 0; its own way there keeps the norm to itself."""
        self._unsharded_norm = float(torch.nn.utils.clip_grad_norm_(self.module.parameters(), self._engine.gradient_clipping()))

    def _losses(self, sequences: Tensor, positions: Tensor | None) -> Tensor:
        return token_losses(self._logits(sequences[:, :-1], positions), sequences[:, 1:])

    def _logits(self, tokens: Tensor, positions: Tensor | None) -> Tensor:
        given = {} if positions is None else {"position_ids": positions}
        logits: Tensor = self._engine(input_ids=tokens, use_cache=False, **given).logits
        return logits


class _Files(TorchCheckpointEngine):  # type: ignore[misc]
    """DeepSpeed's way of writing files, made durable and remembered, and of reading them, without running what is in them."""

    def __init__(self, replaced: TorchCheckpointEngine, frozen: Set[str]) -> None:
        self.__dict__.update(replaced.__dict__)
        self._frozen = frozen
        self.written: list[Path] = []

    def save(self, state_dict: dict[str, Any], path: str) -> None:  # DeepSpeed passes these by name
        if isinstance(module := state_dict.get("module"), dict):  # DeepSpeed leaves frozen weights out, but not under their second names
            state_dict = state_dict | {"module": {name: value for name, value in module.items() if name not in self._frozen}}
        super().save(state_dict, path)
        with Path(path).open("rb") as file:
            os.fsync(file.fileno())
        self.written.append(Path(path))

    def load(self, path: str, map_location: Any = None) -> Any:
        try:
            with torch.serialization.safe_globals(_SAFE_CLASSES):
                return torch.load(path, map_location=map_location, weights_only=True)
        except UnpicklingError as error:
            raise CheckpointError(
                f"{path} was not loaded: it holds more than a checkpoint's data, which could be a program. {error}"
            ) from None


def own_part(parameter: Tensor, rank: int) -> Tensor:
    """A parameter, or what of it a rank holds where ZeRO-3 has partitioned it: the last parts are padded with whatever was in memory."""
    if not hasattr(parameter, "ds_tensor"):
        return parameter
    size = parameter.ds_tensor.numel()
    part: Tensor = parameter.ds_tensor.flatten()[: max(0, parameter.ds_numel - rank * size)]  # type: ignore[attr-defined]
    return part


def checksum(tensors: Iterable[Tensor]) -> int:
    """The sum of the bits of float32 or bfloat16 tensors, modulo 2^64."""
    return sum(int(part.detach().contiguous().view(_BITS[part.element_size()]).sum(dtype=torch.int64)) for part in tensors) % (1 << 64)


def _require_async_io(offload: OffloadConfig) -> None:
    if offload.nvme_path and not get_accelerator().create_op_builder("AsyncIOBuilder").is_compatible():
        raise ConfigError(
            f"training.offload.nvme_path={offload.nvme_path}: DeepSpeed builds what reads and writes there with a C++ compiler and libaio, "
            f"and this node lacks the headers of that. Install libaio-dev (Red Hat: libaio-devel) on every node, or offload to cpu."
        )


def _undo_first_update(optimizer: Any) -> None:
    """At stage 0 in bfloat16 DeepSpeed makes an update of zeros to allocate Adam's moments: it counts as a step, and decays the weights."""
    optimizer.optimizer.state.clear()
    optimizer.refresh_fp32_params()


def _frozen_names(module: torch.nn.Module) -> set[str]:
    return {name for name, parameter in module.named_parameters(remove_duplicate=False) if not parameter.requires_grad}


def _parameter_groups(module: torch.nn.Module) -> Sequence[dict[str, Any]]:
    """Weight decay for matrices, none for norms and biases."""
    groups: dict[bool, list[torch.nn.Parameter]] = {True: [], False: []}
    for parameter in filter(attrgetter("requires_grad"), module.parameters()):
        groups[len(shape_of(parameter)) >= 2].append(parameter)
    decay = {"params": groups[True]}
    return [decay, {"params": groups[False], "weight_decay": 0.0}] if groups[False] else [decay]
