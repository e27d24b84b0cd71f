"""The loss head on models of several architectures, against their own logits."""

import logging
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM

from orchestrator.training.loss_head import LossHead
from orchestrator.training.losses import token_losses

VOCABULARY = 50
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "pad_token_id": 0,
}
LINEAR: dict[str, tuple[str, dict[str, Any]]] = {
    "llama, tied": ("llama", {"tie_word_embeddings": True}),
    "llama": ("llama", {"tie_word_embeddings": False}),
    "qwen3": ("qwen3", {}),
    "olmo2": ("olmo2", {}),
    "phi, a bias": ("phi", {}),
    "gemma2, no cap": ("gemma2", {"final_logit_softcapping": None}),
}
MORE_THAN_LINEAR: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma2, capped": ("gemma2", {"final_logit_softcapping": 5.0}),
    "cohere, scaled": ("cohere", {}),
    "granite, scaled": ("granite", {"logits_scaling": 3.0}),
}


def build(kind: str, changes: dict[str, Any]) -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SIZES | changes))
    return model


def head_of(model: nn.Module) -> LossHead:
    return LossHead(model, lambda tokens, positions: model(input_ids=tokens, position_ids=positions).logits, torch.device("cpu"))


def gradients(model: nn.Module, total: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    torch.autograd.backward(total)
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}


def assert_same(model: nn.Module) -> None:
    """Losses, their mean's gradients, and those of a weighted sum, are those of the model's own logits."""
    sequences = torch.randint(0, VOCABULARY, (2, 13), generator=torch.Generator().manual_seed(1))
    factors = torch.rand(2, 12, generator=torch.Generator().manual_seed(2))
    expected = token_losses(model(input_ids=sequences[:, :-1]).logits, sequences[:, 1:])
    by_mean, by_factors = (gradients(model, total) for total in _totals(model, sequences, factors))
    head = head_of(model)
    total, losses = head(sequences)
    torch.testing.assert_close(losses, expected.detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradients(model, total), by_mean, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(gradients(model, head(sequences, None, factors)[0]), by_factors, rtol=1e-4, atol=1e-6)


def _totals(model: nn.Module, sequences: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
    def losses() -> Tensor:
        return token_losses(model(input_ids=sequences[:, :-1]).logits, sequences[:, 1:])

    return losses().mean(), (losses() * factors).sum()


@pytest.mark.parametrize("name", LINEAR)
def test_where_the_output_layer_comes_last_no_logits_are_made_and_the_losses_are_the_same(name: str) -> None:
    model = build(*LINEAR[name])
    assert not head_of(model).makes_logits
    assert_same(model)


@pytest.mark.parametrize("name", MORE_THAN_LINEAR)
def test_where_a_model_does_more_its_own_logits_are_taken_and_the_log_says_so_once(name: str, caplog: pytest.LogCaptureFixture) -> None:
    model = build(*MORE_THAN_LINEAR[name])
    with caplog.at_level(logging.WARNING):
        assert head_of(model).makes_logits
    assert [record.message for record in caplog.records if "all logits" in record.message]
    assert_same(model)


def test_adapters_on_the_output_layer_are_not_passed_by() -> None:
    import peft

    model = peft.get_peft_model(build(*LINEAR["llama"]), peft.LoraConfig(r=2, target_modules=["lm_head", "q_proj"]))
    assert head_of(model).makes_logits
    assert_same(model)


def test_adapters_elsewhere_leave_the_frozen_output_layer_without_a_gradient() -> None:
    import peft

    model = peft.get_peft_model(build(*LINEAR["llama"]), peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    assert not head_of(model).makes_logits
    assert_same(model)
    assert model.get_output_embeddings().weight.grad is None


def test_logits_can_be_had_between_losses() -> None:
    model = build(*LINEAR["llama"])
    sequences = torch.randint(0, VOCABULARY, (2, 13))
    before = model(input_ids=sequences).logits
    head_of(model)(sequences)
    torch.testing.assert_close(model(input_ids=sequences).logits, before)


def test_a_compiled_model_is_not_compiled_anew_for_every_step() -> None:
    model = build(*LINEAR["llama"])
    head = head_of(model)
    compilations = 0

    def count(graph: torch.fx.GraphModule, _: Any) -> Any:
        nonlocal compilations
        compilations += 1
        return graph.forward

    torch._dynamo.reset()
    model.compile(backend=count)
    sequences = torch.randint(0, VOCABULARY, (2, 13))
    plain = head(sequences)[1]
    after_one = compilations
    for _ in range(3):
        torch.testing.assert_close(head(sequences)[1], plain)
    assert compilations == after_one > 0
