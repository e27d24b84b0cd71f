"""Cross-entropy out of the last hidden states and the output layer, chunk by chunk: the logits of all tokens never exist together."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_CHUNK_LOGITS = 1 << 26  # of a chunk: 128 MiB in bfloat16, whatever the vocabulary
_CACHED_LOGITS = 1 << 20  # what a CPU turns into losses at once: 4 MiB in float32, which its cache holds and its allocator keeps


def chunked_losses(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, factors: Tensor, *, chunk_logits: int = _CHUNK_LOGITS
) -> tuple[Tensor, Tensor]:
    """The loss of every token and their weighted sum, whose gradients are made on the way, as its factors are known before.

    Args:
        hidden: (tokens, hidden size) what the output layer is given, float32 or bfloat16.
        weight: (vocabulary, hidden size) of the output layer.
        bias: (vocabulary,) of the output layer, if it has one.
        labels: (tokens,) token ids, int64.
        factors: (tokens,) of each token's loss in the sum, float32.
        chunk_logits: how many logits may exist at once; those of one token always may.

    Returns:
        The sum, a scalar that can be differentiated once unless gradients are off, and the (tokens,) losses in nats, which cannot; float32.
    """
    if torch.is_grad_enabled():
        total, losses = _ChunkedLosses.apply(hidden, weight, bias, (labels, factors, chunk_logits))  # type: ignore[no-untyped-call]
        return total, losses
    parts = _slices(len(hidden), chunk_logits // len(weight))
    losses = torch.cat([_to_losses(functional.linear(hidden[part], weight, bias), labels[part]) for part in parts])
    return (losses * factors).sum(), losses


class _ChunkedLosses(torch.autograd.Function):
    """Three products of matrices a chunk, as many as without chunks: nothing is computed again in the backward pass."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, given: tuple[Tensor, Tensor, int]) -> tuple[Tensor, Tensor]:
        labels, factors, chunk_logits = given
        losses = torch.empty(len(labels), dtype=torch.float32, device=hidden.device)
        for_hidden = torch.empty_like(hidden)
        for_weight: Tensor | None = None
        for_bias: Tensor | None = None
        for part in _slices(len(hidden), chunk_logits // len(weight)):
            logits = functional.linear(hidden[part], weight, bias)
            losses[part] = _to_losses(logits, labels[part], factors[part])  # from here on, logits are their gradient
            torch.mm(logits, weight, out=for_hidden[part])
            if ctx.needs_input_grad[1]:
                for_weight = _plus(for_weight, logits.T @ hidden[part])
            if ctx.needs_input_grad[2]:
                for_bias = _plus(for_bias, logits.sum(0, dtype=torch.float32))
        ctx.gradients = for_hidden, _as(weight, for_weight), _as(bias, for_bias)
        ctx.mark_non_differentiable(losses)
        return (losses * factors).sum(), losses

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, scale: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        gradients, ctx.gradients = ctx.gradients, ()
        return *(None if gradient is None else gradient.mul_(scale) for gradient in gradients), None


def _to_losses(logits: Tensor, labels: Tensor, factors: Tensor | None = None) -> Tensor:
    """The losses of a chunk's tokens. With factors, the gradient of their weighted sum takes the place of the logits."""
    losses = torch.empty(len(labels), dtype=torch.float32, device=logits.device)
    at_once = _CACHED_LOGITS // logits.shape[1] if logits.device.type == "cpu" else len(logits)
    for part in _slices(len(logits), at_once):
        label = labels[part, None]
        values = torch.log_softmax(logits[part], dim=1, dtype=torch.float32)
        losses[part] = -values.gather(1, label).squeeze(1)
        if factors is not None:
            values.exp_().scatter_add_(1, label, values.new_full(label.shape, -1.0))
            logits[part] = values.mul_(factors[part, None])
    return losses


def _slices(total: int, size: int) -> Iterator[slice]:
    """All of a range, in as many parts of about the same length as it takes to have at most `size`, or one, in each."""
    num = -(-total // max(1, size))
    return (slice(total * index // num, total * (index + 1) // num) for index in range(num))


def _plus(total: Tensor | None, part: Tensor) -> Tensor:
    """A sum in float32 from the second summand on: in bfloat16 it would lose the small ones."""
    return part if total is None else total.float().add_(part)


def _as(like: Tensor | None, gradient: Tensor | None) -> Tensor | None:
    return gradient if like is None or gradient is None else gradient.to(like.dtype)
