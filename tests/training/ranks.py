"""What the tests of the engine do on a rank."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from orchestrator.config.load import load_config
from orchestrator.config.schema import Config
from orchestrator.training.engine import Engine
from tests.support.tiny import overrides

SEQUENCES, LENGTH, STEPS = 4, 32, 4


def config_of(folder: str, stage: int, initialise: str = "pretrained") -> Config:
    """The tiny experiment at a ZeRO stage."""
    return load_config(overrides(Path(folder), **{"training.zero_stage": stage, "model.initialise": initialise}))


def losses_of_every_stage(folder: str) -> dict[str, dict[str, Any]]:
    """For each ZeRO stage: the losses and the gradient norms of a few steps from the same weights."""
    configs = (config_of(folder, stage) for stage in range(4))
    return {str(c.training.zero_stage): _steps(Engine(c.model, c.training, 2), range(STEPS)) for c in configs}


def initialisation_of_every_stage(folder: str) -> dict[str, float]:
    """For each ZeRO stage: the standard deviation of the embeddings of a model from scratch."""
    return {str(stage): _embedding_std(config_of(folder, stage, "scratch")) for stage in range(4)}


def held_out_losses_with_and_without_training(folder: str) -> list[list[float]]:
    """Held-out losses before and after measuring them, with no step between."""
    config = config_of(folder, 3)
    engine = Engine(config.model, config.training, 2)
    return [engine.heldout_losses(_batch(0)).tolist() for _ in range(2)]


def losses_around_a_resume(folder: str) -> dict[str, Any]:
    """Losses of a straight run, and of one that is saved, thrown away, made anew with another seed, and loaded."""
    results = {}
    for stage in (0, 3):
        config = config_of(folder, stage)
        engine = Engine(config.model, config.training, 2)
        _steps(engine, range(2))
        checkpoint = Path(folder) / f"stage{stage}"
        engine.save(checkpoint, {"step": 2, "tokens": [1, 2]})
        straight = _steps(engine, range(2, 4))
        torch.distributed.barrier()
        other = Engine(config.model, replace(config.training, seed=77), 2)
        state = other.load(checkpoint)
        results[str(stage)] = {"state": state, "straight": straight, "resumed": _steps(other, range(2, 4))}
    return results


def _embedding_std(config: Config) -> float:
    from deepspeed.utils import safe_get_full_fp32_param

    engine = Engine(config.model, config.training, 2)
    embedding = engine.module.get_parameter("model.embed_tokens.weight")
    full = safe_get_full_fp32_param(embedding) if config.training.zero_stage else embedding
    return float(full.detach().std())


def _steps(engine: Engine, steps: range) -> dict[str, list[float]]:
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
    generator = torch.Generator().manual_seed(step)
    sequences = torch.randint(0, 300, (SEQUENCES, LENGTH + 1), generator=generator)
    rank = torch.distributed.get_rank()
    return sequences[rank * 2 : rank * 2 + 2]
