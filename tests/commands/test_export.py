"""Checkpoints as Hugging Face models: loaded by transformers, they are what was trained."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from orchestrator.checkpoints.store import committed_checkpoints, step_directory
from orchestrator.checkpoints.weights import open_weights
from orchestrator.runs.directory import RunDirectory
from tests.checkpoints import engines
from tests.commands.command_line import midtrain
from tests.support.prepared import make_run, write_prepared
from tests.support.rank_processes import on_ranks
from tests.support.tiny import write_weights

KINDS: dict[str, dict[str, Any]] = {"full": {"stage": 2}, "bf16": {"stage": 3, "precision": "bf16"}, "adapters": {"stage": 1, "lora": True}}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs, each with checkpoints of two steps and of five that two ranks have saved."""
    folder = tmp_path_factory.mktemp("export")
    write_prepared(folder)
    write_weights(folder / "model")
    on_ranks(engines.train_and_save_twice, {"folder": str(folder), "cases": KINDS})
    return folder


def run_of(home: Path, kind: str) -> RunDirectory:
    """The run of a kind, with its checkpoints."""
    root = home / "runs" / kind
    if not root.exists():
        run = make_run(engines.config_of(str(home), **KINDS[kind], run=root))
        shutil.copytree(home / kind, run.checkpoints)
    return RunDirectory(root)


def trained(run: RunDirectory, *steps: int) -> dict[str, np.ndarray[Any, Any]]:
    """The mean of the weights that some checkpoints hold."""
    checkpoints = [checkpoint for checkpoint in committed_checkpoints(run.checkpoints) if checkpoint.step in steps]
    assert len(checkpoints) == len(steps)
    with open_weights(checkpoints) as weights:
        return {name: weights.read(name) for name in weights.names}


def load(directory: Path) -> torch.nn.Module:
    from transformers import AutoModelForCausalLM

    model: torch.nn.Module = AutoModelForCausalLM.from_pretrained(directory)
    return model


@pytest.mark.parametrize("kind", ["full", "bf16"])
def test_a_model_that_is_exported_has_the_weights_that_were_trained(home: Path, kind: str) -> None:
    run = run_of(home, kind)
    done = midtrain("export", str(run.root), cwd=home)
    assert done.returncode == 0, done.stderr
    assert "it goes on from nothing with" in done.stderr
    model = load(run.root / "export" / "step_00000005")
    expected = trained(run, 5)
    assert {name for name, _ in model.named_parameters()} == set(expected)
    for name, parameter in model.named_parameters():
        assert parameter.dtype == (torch.bfloat16 if kind == "bf16" else torch.float32)
        assert torch.equal(parameter.detach().flatten(), torch.from_numpy(expected[name]).to(parameter.dtype))


def test_adapters_are_exported_apart_and_merged(home: Path) -> None:
    from peft import PeftModel

    run = run_of(home, "adapters")
    for words in (["--output", str(home / "apart")], ["--merge", "--output", str(home / "merged")]):
        done = midtrain("export", str(run.root), *words, cwd=home)
        assert done.returncode == 0, done.stderr
    assert {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json"} <= {path.name for path in (home / "apart").iterdir()}
    adapted = PeftModel.from_pretrained(load(home / "model"), home / "apart").eval()
    merged, base = load(home / "merged").eval(), load(home / "model").eval()
    tokens = torch.arange(20)[None]
    with torch.no_grad():
        assert torch.allclose(adapted(tokens).logits, merged(tokens).logits, atol=1e-5)
        assert not torch.allclose(merged(tokens).logits, base(tokens).logits, atol=1e-3)


def test_an_average_is_the_mean_of_the_weights(home: Path) -> None:
    run = run_of(home, "full")
    done = midtrain("average", str(run.root), "--steps", "2,5", "--output", str(home / "mean"), cwd=home)
    assert done.returncode == 0, done.stderr
    two, five = trained(run, 2), trained(run, 5)
    for name, parameter in load(home / "mean").named_parameters():
        mean = (two[name].astype(np.float64) + five[name]) / 2
        assert np.array_equal(parameter.detach().flatten().numpy(), mean.astype(np.float32))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["export", "RUN", "--step", "3"], 4, "has no checkpoint of step 3. Those that it has: 2, 5."),
        (["export", "RUN", "--output", "taken"], 2, "exists already, and nothing is written over"),
        (["export", "RUN", "--merge", "--output", "new"], 2, "this run trains all parameters"),
        (["average", "RUN", "--steps", "2,x"], 2, "Write it as --steps 100,200,300"),
    ],
)
def test_what_cannot_be_exported_is_one_message(home: Path, words: list[str], code: int, said: str) -> None:
    run = run_of(home, "full")
    (home / "taken").mkdir(exist_ok=True)
    done = midtrain(*(word.replace("RUN", str(run.root)) for word in words), cwd=home)
    assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (code, True, False), done.stderr


def test_a_damaged_checkpoint_is_not_exported(home: Path) -> None:
    run = run_of(home, "full")
    copy = home / "runs" / "spoilt"
    shutil.copytree(run.root, copy, ignore=shutil.ignore_patterns("export"))
    file = next((step_directory(copy / "checkpoints", 5) / "state").iterdir())
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    done = midtrain("export", str(copy), cwd=home)
    assert (done.returncode, "is damaged" in done.stderr, (copy / "export" / "step_00000005").exists()) == (4, True, False)
