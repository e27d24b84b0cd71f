"""Documents of a sequence do not see each other: not in what they predict, and not in what they learn from."""

from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from orchestrator.training.documents import keeps_documents_apart, position_ids
from orchestrator.training.losses import IntervalSums, sequence_means, token_losses

VOCABULARY, LENGTH = 50, 12
BEGINS = [[0, 5, 6], [0, 1, 9]]  # where the documents of each sequence begin


def tiny_model(attention: str, model_type: str = "llama", **changes: Any) -> torch.nn.Module:
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}
    config = AutoConfig.for_model(model_type, **sizes, vocab_size=VOCABULARY, use_cache=False, **changes)
    torch.manual_seed(0)
    model: torch.nn.Module = AutoModelForCausalLM.from_config(config, attn_implementation=attention, dtype=torch.float32)
    return model


def documents() -> Tensor:
    """(2, LENGTH + 1) which document each token belongs to."""
    begins = torch.tensor(BEGINS)[:, :, None]
    return (torch.arange(LENGTH + 1) >= begins).sum(dim=1) - 1


def tokens() -> Tensor:
    return torch.randint(0, VOCABULARY, (2, LENGTH + 1), generator=torch.Generator().manual_seed(1))


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=5), min_size=1, max_size=4))
def test_positions_begin_anew_with_each_document(lengths: list[list[int]]) -> None:
    longest = max(map(sum, lengths))
    filled = [[*row, longest - sum(row) + 1] for row in lengths]
    table = torch.tensor([[number for number, length in enumerate(row) for _ in range(length)] for row in filled])
    expected = [[at for length in row for at in range(length)][:longest] for row in filled]
    assert position_ids(table).tolist() == expected


@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "checkpointed"])
@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("model_type", ["llama", "qwen2", "olmo2", "mistral"])
def test_no_gradient_of_a_documents_loss_reaches_another_document(model_type: str, attention: str, mode: str, checkpointing: bool) -> None:
    model = tiny_model(attention, model_type).train(mode == "train")
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})  # type: ignore[operator]
    embedded = model.get_input_embeddings()(tokens()[:, :-1]).detach().requires_grad_()  # type: ignore[operator]
    logits = model(inputs_embeds=embedded, position_ids=position_ids(documents()), use_cache=False).logits
    losses = token_losses(logits, tokens()[:, 1:])
    read, labelled = documents()[:, :-1], documents()[:, 1:]
    for row, number in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)):
        counted = (labelled[row] == number) & (read[row] == number)
        if not counted.any():
            continue
        (gradient,) = torch.autograd.grad(losses[row][counted].sum(), embedded, retain_graph=True)
        reached = gradient.abs().sum(dim=2) > 0
        assert not reached[1 - row].any()
        assert not reached[row][read[row] != number].any()
        assert reached[row][read[row] == number][0]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_document_is_predicted_as_if_it_were_alone(attention: str) -> None:
    model = tiny_model(attention).eval()
    with torch.no_grad():
        together = model(input_ids=tokens()[:, :-1], position_ids=position_ids(documents()), use_cache=False).logits
        for row, begins in enumerate(BEGINS):
            for begin, end in zip(begins, [*begins[1:], LENGTH], strict=True):
                alone = model(input_ids=tokens()[row : row + 1, begin:end], use_cache=False).logits
                assert torch.allclose(together[row, begin:end], alone[0], atol=1e-6)


def logits_of(model: torch.nn.Module, input_ids: Tensor, positions: Tensor, **others: Any) -> Tensor:
    logits: Tensor = model(input_ids=input_ids, position_ids=positions, use_cache=False, **others).logits
    return logits


@torch.no_grad()
def test_a_model_that_lets_documents_see_each_other_is_told_from_one_that_does_not() -> None:
    tried = partial(keeps_documents_apart, vocabulary_size=VOCABULARY, num_sequences=2)
    model = tiny_model("sdpa").eval()
    assert tried(partial(logits_of, model))
    assert not tried(lambda ids, positions: logits_of(model, ids, positions, attention_mask=torch.ones_like(ids)))
    assert not tried(lambda ids, positions: logits_of(model, ids, torch.arange(ids.shape[1])[None].expand_as(ids)))
    only_one_row = partial(logits_of, model)
    assert not tried(lambda ids, positions: only_one_row(ids, torch.cat([positions[:1], torch.arange(16)[None]])))


def test_only_trained_tokens_are_counted() -> None:
    losses = torch.tensor([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
    trained = torch.tensor([[True, False, True], [False, False, True]])
    sums = IntervalSums(2, torch.device("cpu"))
    sums.add(losses, torch.tensor([1, 0]), trained)
    sums.end_step(was_made=True)
    interval = sums.collect()
    assert (interval.losses, interval.tokens) == ([32.0, 5.0], [1, 2])
    assert sequence_means(losses, trained).tolist() == [2.5, 32.0]
    assert sequence_means(losses, None).tolist() == losses.double().mean(dim=1).tolist()
