"""The loss without all logits, against the plain computation."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from orchestrator.training import chunked_loss
from orchestrator.training.chunked_loss import chunked_losses
from orchestrator.training.losses import token_losses

TOKENS, HIDDEN, VOCABULARY = 37, 24, 101
CHUNKS = {"one": 1 << 26, "uneven": 10 * VOCABULARY, "a token each": 1}


def inputs(dtype: torch.dtype, *, with_bias: bool = True) -> tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor]:
    """Hidden states, weight, bias, labels and factors, of which some are 0."""
    generator = torch.Generator().manual_seed(3)

    def values(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(dtype).requires_grad_()

    labels = torch.randint(0, VOCABULARY, (TOKENS,), generator=generator)
    factors = torch.rand(TOKENS, generator=generator) * (torch.rand(TOKENS, generator=generator) < 0.7)
    return values(TOKENS, HIDDEN), values(VOCABULARY, HIDDEN), values(VOCABULARY) if with_bias else None, labels, factors


def plain(hidden: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
    losses = token_losses(functional.linear(hidden, weight, bias)[None], labels[None])[0]
    return (losses * factors).sum(), losses


@pytest.mark.parametrize("cached_logits", [4 * VOCABULARY, 1 << 20])
@pytest.mark.parametrize("chunk_logits", CHUNKS.values(), ids=CHUNKS.keys())
@pytest.mark.parametrize("with_bias", [True, False])
def test_losses_and_gradients_are_those_of_the_plain_computation(
    chunk_logits: int, with_bias: bool, cached_logits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunked_loss, "_CACHED_LOGITS", cached_logits)
    expected, found = inputs(torch.float32, with_bias=with_bias), inputs(torch.float32, with_bias=with_bias)
    expected_total, expected_losses = plain(*expected)
    total, losses = chunked_losses(*found, chunk_logits=chunk_logits)
    torch.testing.assert_close(losses, expected_losses, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(total, expected_total, rtol=1e-6, atol=0)
    for sum_of in (expected_total, total):
        torch.autograd.backward(sum_of / 4)  # gradient accumulation scales like this
    for mine, other in zip(found[: 2 + with_bias], expected, strict=False):
        assert mine is not None and other is not None and mine.grad is not None and other.grad is not None
        assert float((mine.grad - other.grad).norm() / other.grad.norm()) < 1e-6


@pytest.mark.parametrize("chunk_logits", CHUNKS.values(), ids=CHUNKS.keys())
def test_in_bfloat16_gradients_are_as_near_to_the_exact_ones_as_those_of_the_plain_computation(chunk_logits: int) -> None:
    hidden, weight, _, labels, factors = inputs(torch.bfloat16, with_bias=False)
    by_chunks, by_all, exact = (
        [each.detach().to(dtype).requires_grad_() for each in (hidden, weight)] for dtype in (torch.bfloat16, torch.bfloat16, torch.float64)
    )
    torch.autograd.backward(chunked_losses(by_chunks[0], by_chunks[1], None, labels, factors, chunk_logits=chunk_logits)[0])
    torch.autograd.backward(plain(by_all[0], by_all[1], None, labels, factors)[0])
    torch.autograd.backward((functional.cross_entropy(functional.linear(*exact), labels, reduction="none") * factors).sum())
    for mine, other, true in zip(by_chunks, by_all, exact, strict=True):
        assert mine.grad is not None and other.grad is not None and true.grad is not None
        assert mine.grad.dtype == torch.bfloat16
        error, plain_error = (float((each.double() - true.grad).norm() / true.grad.norm()) for each in (mine.grad, other.grad))
        assert error < 1.2 * plain_error


def test_in_bfloat16_the_gradient_of_the_weight_is_summed_in_float32() -> None:
    hidden = torch.ones(512, 1, dtype=torch.bfloat16, requires_grad=True)
    weight = torch.zeros(2, 1, dtype=torch.bfloat16, requires_grad=True)
    total, _ = chunked_losses(hidden, weight, None, torch.zeros(512, dtype=torch.int64), torch.ones(512), chunk_logits=1)
    torch.autograd.backward(total)
    assert weight.grad is not None
    assert weight.grad.flatten().tolist() == [-256.0, 256.0]  # in bfloat16 128 + 0.5 is 128, and the sum would stand still there


def test_a_frozen_weight_gets_no_gradient_and_the_hidden_states_theirs() -> None:
    hidden, weight, _, labels, factors = inputs(torch.float32)
    total, losses = chunked_losses(hidden, weight.detach(), None, labels, factors, chunk_logits=500)
    torch.autograd.backward(total)
    assert weight.grad is None
    assert bool(hidden.grad.abs().sum() > 0)  # type: ignore[union-attr]
    assert not losses.requires_grad


def test_without_gradients_the_losses_are_the_same() -> None:
    given = inputs(torch.float32)
    with torch.no_grad():
        total, losses = chunked_losses(*given, chunk_logits=500)
    assert not total.requires_grad
    torch.testing.assert_close((total, losses), tuple(each.detach() for each in chunked_losses(*given, chunk_logits=500)))


def test_memory_does_not_grow_with_vocabulary_times_tokens() -> None:
    peaks = [_peak_bytes(tokens) for tokens in (1_000, 4_000)]
    all_logits_bytes = 4_000 * 50_000 * 4
    assert max(peaks) < all_logits_bytes / 4
    assert peaks[1] - peaks[0] < all_logits_bytes / 20


def _peak_bytes(tokens: int) -> int:
    """Of memory that a forward and backward pass take above what is there before: a vocabulary of 50,000, chunks of 10 million logits."""
    hidden, weight = torch.ones(tokens, 64, requires_grad=True), torch.ones(50_000, 64, requires_grad=True)
    labels, factors = torch.zeros(tokens, dtype=torch.int64), torch.full((tokens,), 1 / tokens)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _status("VmRSS")
    torch.autograd.backward(chunked_losses(hidden, weight, None, labels, factors, chunk_logits=10_000_000)[0])
    return _status("VmHWM") - before


def _status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) << 10
