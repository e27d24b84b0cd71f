"""What a token of training costs, by the formula and by torch's own count of the operations."""

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from orchestrator.config.load import load_config
from orchestrator.training.flops import flops_per_token, peak_tflops, utilisation_of
from orchestrator.training.memory import peak_memory_bytes
from orchestrator.training.model import build_model
from tests.support.tiny import overrides, write_model

LENGTH = 64


def built(folder: Path, **changes: object) -> torch.nn.Module:
    write_model(folder / "model")
    config = load_config(overrides(folder, **{f"training.{key}": value for key, value in changes.items()}))
    return build_model(config.model, config.training, None)


def counted(model: torch.nn.Module) -> float:
    """Operations a token of a forward and a backward pass, as torch counts them."""
    tokens = torch.randint(0, 300, (1, LENGTH), generator=torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter:
        torch.autograd.backward(model(input_ids=tokens, use_cache=False).logits.sum())
    return float(counter.get_total_flops()) / LENGTH


@pytest.mark.parametrize("lora", ["null", "{rank:4,alpha:8.0}"], ids=["all parameters", "adapters"])
def test_the_formula_is_what_torch_counts_but_for_norms_and_the_first_layer(tmp_path: Path, lora: str) -> None:
    model = built(tmp_path, lora=lora, attention="eager")
    assert flops_per_token(model, LENGTH) == pytest.approx(counted(model), rel=0.06)


def test_it_is_the_formula_of_palm(tmp_path: Path) -> None:
    model = built(tmp_path)
    weights = sum(each.numel() for each in model.parameters())
    assert flops_per_token(model, LENGTH) == 6 * weights + 12 * 2 * 32 * LENGTH


def test_activation_checkpointing_does_not_change_what_the_model_needs(tmp_path: Path) -> None:
    assert flops_per_token(built(tmp_path, activation_checkpointing=True), LENGTH) == flops_per_token(built(tmp_path), LENGTH)


def test_a_mixture_of_experts_is_not_guessed(tmp_path: Path) -> None:
    model = built(tmp_path)
    model.config.num_experts_per_tok = 2  # type: ignore[union-attr]
    assert flops_per_token(model, LENGTH) is None


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989.0),
        ("NVIDIA H100 PCIe", 756.0),
        ("NVIDIA H200", 989.0),
        ("NVIDIA H200 NVL", 835.0),
        ("NVIDIA A100-SXM4-80GB", 312.0),
        ("NVIDIA B200", 2250.0),
        ("NVIDIA GB200", None),
        ("NVIDIA A10", None),
    ],
)
def test_the_peak_is_that_of_the_device_or_none(name: str, peak: float | None) -> None:
    assert peak_tflops(name) == peak


def test_a_peak_that_is_given_is_taken_and_none_is_made_up_for_a_cpu(tmp_path: Path) -> None:
    model, cpu = built(tmp_path), torch.device("cpu")
    plain, given = (load_config(overrides(tmp_path, **{"training.peak_tflops_per_rank": peak})).training for peak in ("null", "1.5"))
    assert utilisation_of(model, plain, cpu).peak_tflops is None
    utilisation = utilisation_of(model, given, cpu)
    assert utilisation.peak_tflops == 1.5
    assert utilisation.tflops(tokens=10**6, seconds=2.0) == pytest.approx(flops_per_token(model, 32) / 2e6)  # type: ignore[operator]


def test_peak_memory_grows_with_what_is_held() -> None:
    before = peak_memory_bytes(torch.device("cpu"))
    held = torch.ones(1 << 26)
    assert peak_memory_bytes(torch.device("cpu")) >= max(before, held.nbytes)
