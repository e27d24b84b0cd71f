"""How much the choice of held-out documents decides: a bootstrap that takes all sequences of a document together."""

from collections.abc import Sequence

import numpy as np

from orchestrator.frontier.trials import Floats, Ints, SourceLosses


def count_documents(documents: Ints) -> int:
    """How many documents the held-out sequences are from."""
    return len(np.unique(documents))


def relative_losses(measured: Sequence[SourceLosses], num_draws: int, rng: np.random.Generator) -> Floats:
    """What each trial's loss of a source became, as a share of what it was, and in draws of other held-out documents.

    A draw takes n - 1 of the n documents, with replacement, the same ones for all trials and for before and after: with n - 1 the variance
    over draws is unbiased (Rao and Wu, "Resampling Inference With Complex Survey Data", 1988). The distance of a draw to what was measured
    is then multiplied by a draw of sqrt(v / chi2(v)), so that quantiles are those of Student's t, which few documents need. v is one less
    than the effective number of documents, (sum of sizes)^2 / sum of squared sizes.

    Args:
        measured: of each of T trials, over the same sequences.
        num_draws: of the bootstrap.
        rng: of this source.

    Returns:
        (1 + num_draws, T) mean loss after by mean loss before; the first row is as measured. All rows are alike when there is one document.
    """
    _, numbers, sizes = np.unique(measured[0].documents, return_inverse=True, return_counts=True)
    num = len(sizes)
    before, after = (_sums(numbers, num, np.stack(losses)) for losses in zip(*((m.before, m.after) for m in measured), strict=True))
    ratio = after.sum(axis=0) / before.sum(axis=0)
    rows = np.tile(ratio, (1 + num_draws, 1))
    if num > 1:
        picks = rng.multinomial(num - 1, np.full(num, 1 / num), size=num_draws).astype(np.float64)
        freedom = max(sizes.sum() ** 2 / np.square(sizes).sum() - 1, 1.0)
        stretch = np.sqrt(freedom / rng.chisquare(freedom, size=(num_draws, 1)))
        rows[1:] += stretch * ((picks @ after) / (picks @ before) - ratio)
    return rows


def _sums(numbers: Ints, num: int, losses: Floats) -> Floats:
    """(num, T) the sums over the sequences of each document, of (T, n) losses."""
    return np.stack([np.bincount(numbers, weights=row, minlength=num) for row in losses], axis=1)
