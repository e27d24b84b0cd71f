"""The one door to DeepSpeed: a model that can take a step, measure a loss, and give out its state."""

import math
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any

import deepspeed
import torch
from accelerate.utils.other import compile_regions_deepspeed
from deepspeed.accelerator import get_accelerator
from torch import Tensor

from orchestrator.config.training import ModelConfig, OffloadConfig, TrainingConfig
from orchestrator.errors import ConfigError
from orchestrator.training.deepspeed_config import deepspeed_config
from orchestrator.training.documents import keeps_documents_apart
from orchestrator.training.fragments import TrainedState
from orchestrator.training.guard import SpikeGuard
from orchestrator.training.loss_head import LossHead
from orchestrator.training.losses import sequence_means
from orchestrator.training.model import build_model, shape_of

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
        self._engine.clip_fp32_gradients = self._clip_unsharded
        self._norm = 0.0  # of the last update that was made
        self.was_made = True  # the last update; one whose gradient is not finite is not
        self._micro_batch = training.micro_batch
        self._seed = training.seed
        self.module: torch.nn.Module = module
        self.device: torch.device = self._engine.device
        self._stage = training.zero_stage
        self._is_wrapped = training.zero_stage > 0 or training.precision == "bf16"  # torch's AdamW, by an optimiser of DeepSpeed's
        self._state = TrainedState(self._engine.optimizer, module, stage=self._stage, rank=self._engine.global_rank, world_size=world_size)
        self._engine.eval()
        self._losses = LossHead(module, self._logits, self.device)
        if training.compile:
            compile_regions_deepspeed(module, dynamic=False)  # layer by layer; few shapes occur, and each is worth a graph of its own

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
        self,
        step: int,
        sequences: Tensor,
        learning_rate: float,
        *,
        positions: Tensor | None = None,
        trained: Tensor | None = None,
        guard: SpikeGuard | None = None,
    ) -> Iterator[tuple[Tensor, slice]]:
        """Make one update, micro batch by micro batch, unless its gradient is not finite on some rank: then none makes it (`was_made`).

        Args:
            step: counted from 0; with the rank and the seed it decides dropout, so that nothing of it need be saved.
            sequences: (n, sequence_length + 1) token ids of this rank, int64.
            learning_rate: of this update.
            positions: (n, sequence_length) position ids, int64; none: they run over the whole sequence.
            trained: (n, sequence_length) which labels carry loss, of all ranks or of none; none: all. The loss of the step is the mean over
                those of all micro batches and ranks.
            guard: which updates are not to be made, too; none: no others.

        Yields:
            For each micro batch the (sequences, sequence_length) losses of all its tokens, and which of `sequences` they are. The update is
            made when all were taken.
        """
        self._engine.train()
        torch.manual_seed(hash((self._seed, step, self._engine.global_rank)))
        for group in self._engine.optimizer.param_groups:
            group["lr"] = learning_rate
        weights = None if trained is None else self._weights(trained)
        skipped_before, total = self._engine.skipped_steps, torch.zeros((), device=self.device)
        for start in range(0, len(sequences), self._micro_batch):
            part = slice(start, start + self._micro_batch)
            loss, losses = self._losses(sequences[part], *(None if each is None else each[part] for each in (positions, weights)))
            if guard is not None:
                total += loss.detach()
                if part.stop >= len(sequences):
                    loss = loss * guard.factor(self._mean(total))
            self._engine.backward(loss)
            self._engine.step()
            yield losses, part
        self._note_outcome(skipped_before)

    def _mean(self, total: Tensor) -> Tensor:
        """Of the losses of all micro batches and ranks, from the sum over this rank's."""
        torch.distributed.all_reduce(total)
        parts: int = self._engine.gradient_accumulation_steps() * torch.distributed.get_world_size()
        return total / parts

    def _note_outcome(self, skipped_before: int) -> None:
        if self._is_wrapped:
            self.was_made = self._engine.skipped_steps == skipped_before
            if self.was_made:
                self._norm = float(self._engine.get_global_grad_norm())

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
                _, losses = self._losses(sequences[part], None if positions is None else positions[part])
                means.append(sequence_means(losses, None if trained is None else trained[part]))
        return torch.cat(means)

    def gradient_norm(self) -> float:
        """The global norm of the gradient of the last update that was made, before clipping."""
        return self._norm

    @property
    def state(self) -> TrainedState:
        """What is trained, and what AdamW keeps of it: all that a checkpoint must hold."""
        return self._state

    def base_checksum(self) -> int:
        """Of the weights that are frozen, which no checkpoint holds; the same at every world size and ZeRO stage."""
        frozen = [parameter for parameter in self.module.parameters() if not parameter.requires_grad]
        if self._stage < 3 and self._engine.global_rank > 0:
            frozen = []  # every rank holds all of them
        total = torch.tensor(_signed(checksum(own_part(parameter, self._engine.global_rank) for parameter in frozen)), device=self.device)
        torch.distributed.all_reduce(total)  # wraps around, as sums modulo 2^64 should
        return int(total) % (1 << 64)

    def _clip_unsharded(self) -> None:
        """What DeepSpeed calls to clip float32 gradients at ZeRO stage 0; its own way there hides the norm and minds no NaN."""
        norm = float(torch.nn.utils.clip_grad_norm_(self.module.parameters(), self._engine.gradient_clipping()))
        self.was_made = math.isfinite(norm)
        if self.was_made:
            self._norm = norm
        else:
            self.module.zero_grad(set_to_none=True)  # AdamW passes over what has no gradient

    def _logits(self, tokens: Tensor, positions: Tensor | None) -> Tensor:
        given = {} if positions is None else {"position_ids": positions}
        logits: Tensor = self._engine(input_ids=tokens, use_cache=False, **given).logits
        return logits


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


def _signed(bits: int) -> int:
    """The int64 of the same bits."""
    return bits - (1 << 64) if bits >> 63 else bits


def _parameter_groups(module: torch.nn.Module) -> Sequence[dict[str, Any]]:
    """Weight decay for matrices, none for norms and biases."""
    groups: dict[bool, list[torch.nn.Parameter]] = {True: [], False: []}
    for parameter in filter(attrgetter("requires_grad"), module.parameters()):
        groups[len(shape_of(parameter)) >= 2].append(parameter)
    decay = {"params": groups[True]}
    return [decay, {"params": groups[False], "weight_decay": 0.0}] if groups[False] else [decay]
