"""The model's output layer, made to hand out losses in place of logits."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from orchestrator.training.chunked_loss import chunked_losses
from orchestrator.training.losses import token_losses

_LOG = logging.getLogger(__name__)
_TRIED_TOKENS = 8
_MARK = 0.8125  # exact in every float type

LogitsOf = Callable[[Tensor, Tensor | None], Tensor]


class LossHead:
    """The losses of a model, without its logits where its output layer is the last thing that it computes.

    The layer's own `forward` is replaced, not the model's, so that whatever happens around a call of the layer still does: ZeRO-3 gathers
    its weight once for all chunks.
    """

    def __init__(self, model: nn.Module, logits_of: LogitsOf, device: torch.device) -> None:
        """Try whether the model does anything to its output layer's logits. A forward pass: all ranks make it together.

        Args:
            model: a Hugging Face causal language model, with or without adapters.
            logits_of: calls it with (sequences, length) token ids and their position ids or none; (sequences, length, vocabulary) logits.
            device: of the model.
        """
        self._logits_of = logits_of
        self._layer = model.get_output_embeddings()  # type: ignore[operator]
        self._answer: Callable[[Tensor], Tensor] | None = None  # to the layer's next call, in place of logits
        self.makes_logits = type(self._layer) is not nn.Linear or not self._takes_over(device)
        if self.makes_logits:
            _LOG.warning(
                "%s does more to its logits than a linear layer: all logits of a micro batch are made. Where memory is short, lower "
                "training.micro_batch.",
                type(model).__name__,
            )

    def __call__(self, sequences: Tensor, positions: Tensor | None = None, factors: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Losses and their weighted sum.

        Args:
            sequences: (n, length + 1) token ids, int64.
            positions: (n, length) position ids; none: they run over the whole sequence.
            factors: (n, length) of each token's loss in the sum; none: the sum is the mean.

        Returns:
            The sum, a scalar to differentiate, and the (n, length) losses in nats, which carry no gradient; both float32.
        """
        tokens, labels = sequences[:, :-1], sequences[:, 1:]
        if factors is None:
            factors = torch.full(labels.shape, 1 / labels.numel(), device=labels.device)
        if self.makes_logits:
            losses = token_losses(self._logits_of(tokens, positions), labels)
            return (losses * factors).sum(), losses.detach()
        found = []

        def answer(hidden: Tensor) -> Tensor:
            layer = self._layer
            total, losses = chunked_losses(hidden.flatten(0, 1), layer.weight, layer.bias, labels.flatten(), factors.flatten())
            found.append(losses.view_as(labels))
            return total.view(1, 1, 1)  # as many dimensions as logits have

        with self._answering(answer):
            total = self._logits_of(tokens, positions).view(())
        return total, found[0]

    def _takes_over(self, device: torch.device) -> bool:
        """Replace the layer's `forward`, if the model hands on unchanged what it returns, and asks it once, for all tokens."""
        own: Callable[[Tensor], Tensor] = self._layer.forward

        def forward(hidden: Tensor) -> Tensor:
            return (self._answer or own)(hidden)

        self._layer.forward = torch.compiler.disable(forward)  # type: ignore[no-untyped-call]  # one for good: no step compiles anew
        tokens = torch.zeros(1, _TRIED_TOKENS, dtype=torch.int64, device=device)
        mark = torch.full((1, _TRIED_TOKENS, self._layer.out_features), _MARK, device=device)
        asked = []

        def answer(hidden: Tensor) -> Tensor:
            asked.append(hidden.shape[:-1])
            return mark

        with torch.no_grad(), self._answering(answer):
            returned = self._logits_of(tokens, None)
        is_last = asked == [tokens.shape] and torch.equal(returned.float(), mark)
        if not is_last:
            del self._layer.forward
        return is_last

    @contextmanager
    def _answering(self, answer: Callable[[Tensor], Tensor]) -> Iterator[None]:
        self._answer = answer
        try:
            yield
        finally:
            self._answer = None
