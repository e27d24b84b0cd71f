"""What the tests of saving and loading an engine do on a rank."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from orchestrator.checkpoints.commit import save_checkpoint
from orchestrator.checkpoints.loading import host_copy, load_state
from orchestrator.checkpoints.store import open_checkpoint, step_directory
from orchestrator.config.load import load_config
from orchestrator.config.schema import Config
from orchestrator.errors import CheckpointError
from orchestrator.scheduling.process_group import TorchRanks
from orchestrator.training.engine import Engine
from tests.support.tiny import overrides

SEQUENCES, LENGTH = 4, 32
LORA = "{rank:4,alpha:8.0}"
NOTHING = "{optimizer:none,parameters:none,nvme_path:null}"


def config_of(
    folder: str, *, stage: int, lora: bool = False, precision: str = "fp32", offload: str = NOTHING, run: Path | None = None
) -> Config:
    """The tiny experiment."""
    changes: dict[str, object] = {"run.dir": run} if run else {}
    changes |= {"training.zero_stage": stage, "model.initialise": "pretrained", "training.precision": precision}
    changes |= {"training.offload": offload}
    return load_config(overrides(Path(folder), **changes, **({"training.lora": LORA} if lora else {})))


def engine_of(config: Config, seed: int = 0) -> Engine:
    return Engine(config.model, replace(config.training, seed=seed), int(os.environ["WORLD_SIZE"]))


def train_and_save(given: dict[str, Any]) -> dict[str, Any]:
    """For each case: two steps, a save, and two steps more."""
    found = {}
    for name, case in given["cases"].items():
        engine = engine_of(config_of(given["folder"], **case))
        steps(engine, range(2))
        save(engine, Path(given["folder"]) / name, 2)
        state = digest(engine)
        found[name] = {"state": state, "losses": steps(engine, range(2, 4)), "after": digest(engine)}
    return found


def train_and_save_twice(given: dict[str, Any]) -> None:
    """For each case: a save after two steps, and one after five."""
    for name, case in given["cases"].items():
        engine = engine_of(config_of(given["folder"], **case))
        for first, last in ((0, 2), (2, 5)):
            steps(engine, range(first, last))
            save(engine, Path(given["folder"]) / name, last)


def load_and_train(given: dict[str, Any]) -> dict[str, Any]:
    """For each case: load what another process saved, at the world size and stage of now, and make the two steps more; save again."""
    found = {}
    for name, (saved, case) in given["cases"].items():
        engine = engine_of(config_of(given["folder"], **case), seed=77)
        load(engine, Path(given["folder"]) / saved, 2)
        state = digest(engine)
        save(engine, Path(given["folder"]) / name, 2)
        found[name] = {"state": state, "losses": steps(engine, range(2, 4)), "after": digest(engine)}
    return found


def refusals(folder: str) -> dict[str, str]:
    """What loading says of checkpoints that do not fit."""
    plain, adapted = (engine_of(config_of(folder, stage=1, lora=lora)) for lora in (False, True))
    steps(plain, range(1))
    steps(adapted, range(1))
    save(plain, Path(folder) / "plain", 1)
    save(adapted, Path(folder) / "adapted", 1)
    return {"adapters": refusal(plain, Path(folder) / "adapted"), "plain": refusal(adapted, Path(folder) / "plain")}


def refusal(engine: Engine, checkpoints: Path) -> str:
    try:
        load(engine, checkpoints, 1)
    except CheckpointError as error:
        return str(error)
    return ""


def save(engine: Engine, checkpoints: Path, step: int) -> None:
    ranks = TorchRanks()
    facts = {"world_size": ranks.world_size, "updates": engine.state.updates}
    save_checkpoint(checkpoints, step, host_copy(engine.state), facts=facts, ranks=ranks, may_commit=lambda: True)


def load(engine: Engine, checkpoints: Path, step: int) -> None:
    checkpoint = open_checkpoint(step_directory(checkpoints, step))
    load_state(checkpoint.directory, checkpoint.manifest, engine.state, TorchRanks())


def digest(engine: Engine) -> str:
    """A hash of the whole state, put together from all ranks, and of the model's own weights."""
    mine = [(f.span.parameter, f.span.start, [v.clone().numpy().tobytes() for v in f.values]) for f in engine.state.fragments()]
    everyones = sorted(entry for found in TorchRanks().gather(mine) for entry in found)
    whole: dict[str, list[bytes]] = {}
    for name, _, values in everyones:
        whole[name] = [before + more for before, more in zip(whole.get(name, [b""] * 3), values, strict=True)]
    return hashlib.sha256(repr([sorted(whole.items()), engine.state.updates]).encode()).hexdigest()


def steps(engine: Engine, numbers: range) -> list[float]:
    """The mean loss over all ranks of each step."""
    losses = []
    for step in numbers:
        sequences = torch.randint(0, 300, (SEQUENCES, LENGTH + 1), generator=torch.Generator().manual_seed(step))
        each = SEQUENCES // torch.distributed.get_world_size()
        mine = sequences[torch.distributed.get_rank() * each :][:each]
        total = torch.stack([part.double().sum() for part, _ in engine.step(step, mine, 0.01)]).sum()
        torch.distributed.all_reduce(total)
        losses.append(float(total) / SEQUENCES / LENGTH)
    return losses
