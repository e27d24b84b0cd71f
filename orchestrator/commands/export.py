"""`midtrain export` and `midtrain average`: checkpoints as a Hugging Face model, on any machine, a few gigabytes of memory at a time."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.checkpoints.store import Checkpoint, committed_directories, is_committed, open_checkpoint, step_directory, verify
from orchestrator.commands.console import Console
from orchestrator.config.load import read_config
from orchestrator.config.schema import Config
from orchestrator.errors import CheckpointError, ConfigError
from orchestrator.runs.directory import RunDirectory

if TYPE_CHECKING:
    import torch

    from orchestrator.checkpoints.weights import Weights

_SHARD_BYTES = 2_000_000_000
_CHECKED_TOKENS = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What to write.

    Attributes:
        steps: of the checkpoints; of several, the mean of their weights.
        output: the directory to make.
        merge: put adapters into the base model's weights.
        check: load what was written and let it generate.
    """

    steps: Sequence[int]
    output: Path
    merge: bool = False
    check: bool = True


def export(run: RunDirectory, wanted: Wanted, console: Console) -> str | None:
    """Write a model directory: safetensors, configuration and tokenizer. It appears whole or not at all.

    Returns:
        What the model says when it is checked.

    Raises:
        ConfigError: something is in the way of the output, or adapters are to be merged that are not there.
        CheckpointError: a step has no checkpoint, or a damaged one.
    """
    config = read_config(run.config)
    if wanted.output.exists():
        raise ConfigError(f"{wanted.output} exists already, and nothing is written over. Choose another directory with --output.")
    if wanted.merge and config.training.lora is None:
        raise ConfigError("--merge puts adapters into their base model, and this run trains all parameters. Leave it out.")
    checkpoints = [_checkpoint(run, step) for step in wanted.steps]
    with console.progress("verifying", len(checkpoints), "checkpoints") as advance:
        for checkpoint in checkpoints:
            verify(checkpoint)
            advance(1)
    partial = wanted.output.with_name(f".{wanted.output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    _write(partial, checkpoints, config, wanted.merge)
    said = _generate(partial, config, wanted.merge) if wanted.check else None
    partial.rename(wanted.output)
    return said


def newest_step(run: RunDirectory) -> int:
    """Of the newest checkpoint.

    Raises:
        CheckpointError: there is none.
    """
    directories = committed_directories(run.checkpoints)
    if not directories:
        raise CheckpointError(f"{run.root} has no checkpoint yet. Train it first: midtrain resume {run.root}")
    return open_checkpoint(directories[-1]).step


def _checkpoint(run: RunDirectory, step: int) -> Checkpoint:
    directory = step_directory(run.checkpoints, step)
    if not is_committed(directory):
        there = ", ".join(str(int(found.name.removeprefix("step_"))) for found in committed_directories(run.checkpoints)) or "none"
        raise CheckpointError(f"{run.root} has no checkpoint of step {step}. Those that it has: {there}.")
    return open_checkpoint(directory)


def _write(directory: Path, checkpoints: Sequence[Checkpoint], config: Config, merge: bool) -> None:
    from transformers import AutoTokenizer

    from orchestrator.checkpoints.weights import open_weights
    from orchestrator.training.skeleton import skeleton

    model = skeleton(config.model, config.training.lora)
    with open_weights(checkpoints) as weights:
        tensors = {name: parameter for name, parameter in model.named_parameters() if name in weights.names}
        if config.training.lora is None:
            _write_weights(directory, tensors, weights, _dtype(config))
            model.config.dtype = _dtype(config)
            model.config.save_pretrained(directory)  # type: ignore[operator, union-attr]
        else:
            _write_adapters(directory, model, tensors, weights)
    if merge:
        _merge(directory, config)
    AutoTokenizer.from_pretrained(config.model.path).save_pretrained(directory)


def _dtype(config: Config) -> "torch.dtype":
    import torch

    return torch.bfloat16 if config.training.precision == "bf16" else torch.float32


def _write_weights(directory: Path, tensors: Mapping[str, "torch.Tensor"], weights: "Weights", dtype: "torch.dtype") -> None:
    """Shard by shard, so that no more than one is in memory."""
    from huggingface_hub import split_torch_state_dict_into_shards
    from safetensors.torch import save_file

    typed = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    shards = split_torch_state_dict_into_shards(typed, max_shard_size=_SHARD_BYTES)
    for file, names in shards.filename_to_tensors.items():
        save_file({name: _tensor(weights, name, typed[name]) for name in names}, directory / file, metadata={"format": "pt"})
    if shards.is_sharded:
        index = {"metadata": shards.metadata, "weight_map": shards.tensor_to_filename}
        (directory / "model.safetensors.index.json").write_text(json.dumps(index, indent=2), encoding="utf-8")


def _write_adapters(directory: Path, model: Any, tensors: Mapping[str, "torch.Tensor"], weights: "Weights") -> None:
    """In peft's own layout."""
    from safetensors.torch import save_file

    found = {name.replace(".default.", "."): _tensor(weights, name, tensor.float()) for name, tensor in tensors.items()}
    save_file(found, directory / "adapter_model.safetensors", metadata={"format": "pt"})
    model.peft_config["default"].save_pretrained(directory)


def _tensor(weights: "Weights", name: str, like: "torch.Tensor") -> "torch.Tensor":
    import torch

    return torch.from_numpy(weights.read(name)).view(like.shape).to(like.dtype)


def _merge(directory: Path, config: Config) -> None:
    """The base model must fit into memory."""
    merged = _load(directory, config, has_adapters=True).merge_and_unload()
    for file in ("adapter_model.safetensors", "adapter_config.json"):
        (directory / file).unlink()
    merged.save_pretrained(directory, max_shard_size=_SHARD_BYTES)


def _load(directory: Path, config: Config, has_adapters: bool) -> Any:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(config.model.path if has_adapters else directory, dtype=_dtype(config))
    return PeftModel.from_pretrained(base, directory) if has_adapters else base


def _generate(directory: Path, config: Config, merge: bool) -> str:
    """Load it as its users will, and let it go on from nothing.

    Raises:
        CheckpointError: what it gives is not finite.
    """
    import torch
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = _load(directory, config, has_adapters=config.training.lora is not None and not merge).eval()
    begin = torch.tensor([[tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id]])
    if not torch.isfinite(model(begin).logits).all():
        raise CheckpointError(f"the model of {directory} gives logits that are not finite: the weights of this checkpoint are lost.")
    made = model.generate(begin, attention_mask=torch.ones_like(begin), max_new_tokens=_CHECKED_TOKENS, do_sample=False)
    return str(tokenizer.decode(made[0, 1:]))
