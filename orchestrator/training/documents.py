"""Documents within sequences: positions that begin anew with each, and whether a model keeps them apart for that."""

from collections.abc import Callable

import torch
from torch import Tensor

_LENGTH = 16  # of the sequences that a model is tried with
_MOST_SEEN = 0.1  # rounding may differ where a model routes tokens; a document that is seen changes the next one's logits as much as ever


def position_ids(documents: Tensor) -> Tensor:
    """Positions within documents. Without an attention mask, transformers takes one that begins anew for the start of another document.

    Args:
        documents: (sequences, length + 1) which document of its sequence each token belongs to; a document is one run.

    Returns:
        (sequences, length) of each token that is read, from 0, int64.
    """
    read = documents[:, :-1]
    index = torch.arange(read.shape[1], device=documents.device).expand_as(read)
    begins = torch.ones_like(read, dtype=torch.bool)
    begins[:, 1:] = read[:, 1:] != read[:, :-1]
    return index - torch.where(begins, index, 0).cummax(dim=1).values


def keeps_documents_apart(logits_of: Callable[[Tensor, Tensor], Tensor], *, vocabulary_size: int, num_sequences: int) -> bool:
    """Whether a document's logits stay the same when the document before it in the sequence is another.

    Args:
        logits_of: from (sequences, length) token ids and position ids, int64 on the CPU, to (sequences, length, vocabulary) logits.
        vocabulary_size: how many tokens there are.
        num_sequences: of a forward pass; what holds for one sequence need not hold for several.
    """
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randint(0, vocabulary_size, (num_sequences, _LENGTH), generator=generator) for _ in range(2))
    other[:, _LENGTH // 2 :] = one[:, _LENGTH // 2 :]
    whole = torch.arange(_LENGTH).expand(num_sequences, -1)

    def seen(positions: Tensor) -> float:
        before, after = (logits_of(tokens, positions)[:, _LENGTH // 2 :].float() for tokens in (one, other))
        return float((before - after).abs().max())

    return seen(whole % (_LENGTH // 2)) <= _MOST_SEEN * seen(whole)
