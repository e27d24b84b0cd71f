"""What the tests of the engine do on a rank."""

from pathlib import Path
from typing import Any

import torch

from orchestrator.config.load import load_config
from orchestrator.config.schema import Config
from orchestrator.training.documents import position_ids
from orchestrator.training.engine import Engine
from orchestrator.training.guard import SpikeGuard
from orchestrator.training.losses import token_losses
from orchestrator.training.model import build_model
from tests.support.tiny import overrides

SEQUENCES, LENGTH, STEPS = 4, 32, 4


ADAPTERS = "{rank:4,alpha:8.0}"


def config_of(folder: str, stage: int, initialise: str = "pretrained", lora: str = "null") -> Config:
    """The tiny experiment at a ZeRO stage."""
    changes = {"training.zero_stage": stage, "model.initialise": initialise, "training.lora": lora}
    return load_config(overrides(Path(folder), **changes))


def everything(folder: str) -> dict[str, Any]:
    """What every function below finds, by its name: one pair of processes for all."""
    found = (
        losses_of_every_stage,
        losses_of_adapters_at_every_stage,
        initialisation_of_every_stage,
        held_out_losses_with_no_training_between,
        losses_of_masked_steps,
        document_attention,
        checksums_of_the_base,
        states_around_an_update_that_is_not_made,
    )
    return {function.__name__: function(folder) for function in found}


def losses_of_every_stage(folder: str, lora: str = "null") -> dict[str, dict[str, Any]]:
    """For each ZeRO stage: the losses and the gradient norms of a few steps from the same weights."""
    configs = (config_of(folder, stage, lora=lora) for stage in range(4))
    return {str(c.training.zero_stage): steps_of(Engine(c.model, c.training, 2), range(STEPS)) for c in configs}


def losses_of_adapters_at_every_stage(folder: str) -> dict[str, dict[str, Any]]:
    """The same of adapters on frozen weights."""
    return losses_of_every_stage(folder, ADAPTERS)


def initialisation_of_every_stage(folder: str) -> dict[str, float]:
    """For each ZeRO stage: the standard deviation of the embeddings of a model from scratch."""
    return {str(stage): _embedding_std(config_of(folder, stage, "scratch")) for stage in range(4)}


def held_out_losses_with_no_training_between(folder: str) -> list[list[float]]:
    """Held-out losses before and after measuring them, with no step between."""
    config = config_of(folder, 3)
    engine = Engine(config.model, config.training, 2)
    return [engine.heldout_losses(_batch(0)).tolist() for _ in range(2)]


def losses_of_masked_steps(folder: str) -> dict[str, Any]:
    """Gradient norms of a step with every label, with a mask of all labels, with an uneven mask, and that of the mean by one process."""
    found: dict[str, Any] = {}
    rank = torch.distributed.get_rank()
    for stage in (0, 3):
        for name, mask in (("none", None), ("all", torch.ones(SEQUENCES, LENGTH, dtype=torch.bool)), ("uneven", _mask())):
            config = config_of(folder, stage)
            engine = Engine(config.model, config.training, 2)
            trained = None if mask is None else mask[rank * 2 : rank * 2 + 2]
            losses = [part.detach() for part, _ in engine.step(0, _batch(0), 0.01, trained=trained)]
            found[f"{stage} {name}"] = engine.gradient_norm()
            assert sum(map(len, losses)) == 2
    return found | {"one process": _norm_of_the_mean(config_of(folder, 0))}


def _mask() -> torch.Tensor:
    """Of all ranks' labels; few on the second rank, none in one of its micro batches."""
    mask = torch.rand(SEQUENCES, LENGTH, generator=torch.Generator().manual_seed(5)) < 0.7
    mask[2] = torch.arange(LENGTH) == 3
    mask[3] = False
    return mask


def _norm_of_the_mean(config: Config) -> float:
    """The norm of the gradient of the mean loss over the mask, with all sequences in one batch."""
    model = build_model(config.model, config.training, None)
    sequences = _sequences(0)
    losses = token_losses(model(input_ids=sequences[:, :-1], use_cache=False).logits, sequences[:, 1:])
    torch.autograd.backward(losses[_mask()].mean())
    return float(torch.nn.utils.clip_grad_norm_(model.parameters(), 1e9))


def document_attention(folder: str) -> dict[str, Any]:
    """Held-out losses of two documents in a sequence and of each in one of its own; and that the engine is content."""
    config = config_of(folder, 3)
    engine = Engine(config.model, config.training, 2)
    engine.require_document_attention()
    adapted = config_of(folder, 1, lora=ADAPTERS)
    Engine(adapted.model, adapted.training, 2).require_document_attention()
    both = _batch(0)[:, :LENGTH]
    half = LENGTH // 2
    documents = (torch.arange(LENGTH) >= half).int().expand(2, -1)
    trained = documents[:, 1:] == documents[:, :-1]
    masks = [trained & (torch.arange(1, LENGTH) < half), trained & (torch.arange(1, LENGTH) >= half)]
    positions = position_ids(documents)
    return {
        "together": [engine.heldout_losses(both, positions=positions, trained=mask).tolist() for mask in masks],
        "alone": [engine.heldout_losses(both[:, part]).tolist() for part in (slice(half), slice(half, None))],
    }


def checksums_of_the_base(folder: str) -> dict[str, int]:
    """Of the frozen weights at two ZeRO stages, and once one of them has changed."""
    found = {}
    for stage in (1, 3):
        config = config_of(folder, stage, lora=ADAPTERS)
        engine = Engine(config.model, config.training, 2)
        found[f"stage {stage}"] = engine.base_checksum()
        if stage == 1:
            with torch.no_grad():
                engine.module.get_parameter("base_model.model.model.norm.weight")[0] += 1e-3
            found["changed"] = engine.base_checksum()
    return found


class Refusing(SpikeGuard):
    """A guard that takes every update for a spike."""

    def __init__(self) -> None:
        super().__init__(window_steps=1, sigmas=1.0, device=torch.device("cpu"))

    def factor(self, loss: torch.Tensor) -> torch.Tensor:
        return torch.tensor(torch.nan)


def states_around_an_update_that_is_not_made(folder: str) -> dict[str, dict[str, Any]]:
    """For each stage: sums of the state's bits after two steps, with an update between that is refused, and without it."""
    found = {}
    for stage, precision in ((stage, precision) for stage in range(4) for precision in ("fp32", "bf16")):
        config = load_config(
            overrides(
                Path(folder),
                **{"training.zero_stage": stage, "training.precision": precision, "model.initialise": "pretrained"},
            )
        )
        sums: list[Any] = []
        made = []
        for guards in ({0: None, 1: None}, {0: None, 7: Refusing(), 1: None}):
            engine = Engine(config.model, config.training, 2)
            for step, guard in guards.items():
                for _ in engine.step(step, _batch(step), 0.01, guard=guard):
                    pass
                made.append(engine.was_made)
            sums.append(
                [[float(v.double().sum()) for v in fragment.values] for fragment in engine.state.fragments()] + [engine.state.updates]
            )
        found[f"{stage} {precision}"] = {"with": sums[1], "without": sums[0], "made": made}
    return found


def _embedding_std(config: Config) -> float:
    from deepspeed.utils import safe_get_full_fp32_param

    engine = Engine(config.model, config.training, 2)
    embedding = engine.module.get_parameter("model.embed_tokens.weight")
    full = safe_get_full_fp32_param(embedding) if config.training.zero_stage else embedding
    return float(full.detach().std())


def steps_of(engine: Engine, steps: range) -> dict[str, list[float]]:
    losses, norms = [], []
    for step in steps:
        per_micro = [float(part.detach().mean()) for part, _ in engine.step(step, _batch(step), 0.01)]
        mean = torch.tensor(sum(per_micro) / len(per_micro), dtype=torch.float64)
        torch.distributed.all_reduce(mean)
        losses.append(float(mean) / 2)
        norms.append(engine.gradient_norm())
    return {"losses": losses, "norms": norms}


def _batch(step: int) -> torch.Tensor:
    """This rank's half of a step's sequences."""
    rank = torch.distributed.get_rank()
    return _sequences(step)[rank * 2 : rank * 2 + 2]


def _sequences(step: int) -> torch.Tensor:
    return torch.randint(0, 300, (SEQUENCES, LENGTH + 1), generator=torch.Generator().manual_seed(step))
