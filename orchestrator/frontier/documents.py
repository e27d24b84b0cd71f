"""How much the choice of held-out documents decides: a bootstrap that takes all sequences of a document together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.frontier.trials import Floats, Ints, ProbeScores, SourceLosses


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DocumentSums:
    """A source's losses, summed over the sequences of each of its n documents, for T trials.

    Attributes:
        sizes: (n,) sequences.
        before, after: (n, T) sums of losses.
    """

    sizes: Ints
    before: Floats
    after: Floats

    @property
    def relative(self) -> Floats:
        """(T,) the mean loss after by the mean loss before."""
        return np.asarray(self.after.sum(axis=0) / self.before.sum(axis=0))


def count_documents(documents: Ints) -> int:
    """How many documents the held-out sequences are from."""
    return len(np.unique(documents))


def sum_documents(measured: Sequence[SourceLosses]) -> DocumentSums:
    """Sum a source's losses by document; the trials measured the same sequences."""
    _, numbers, sizes = np.unique(measured[0].documents, return_inverse=True, return_counts=True)
    before = [np.bincount(numbers, weights=losses.before) for losses in measured]
    after = [np.bincount(numbers, weights=losses.after) for losses in measured]
    return DocumentSums(sizes=sizes, before=np.stack(before, axis=1), after=np.stack(after, axis=1))


def sum_items(measured: Sequence[ProbeScores]) -> DocumentSums:
    """A probe's items as documents of one sequence each, of which the mean of the changes is the relative loss; the trials had the same."""
    changes = np.stack([scores.after - scores.before for scores in measured], axis=1)
    return DocumentSums(sizes=np.ones(len(changes), dtype=np.int64), before=np.ones_like(changes), after=changes)


def draw_relative_losses(sums: DocumentSums, num_draws: int, rng: np.random.Generator) -> Floats:
    """What each trial's loss became, as a share of what it was, and that in draws of other held-out documents.

    A draw takes n - 1 of the n documents with replacement, the same ones for all trials and for before and after: with n - 1 the variance
    over draws is unbiased (Rao and Wu, "Resampling Inference With Complex Survey Data", 1988). The distance of a draw to what was measured
    is then multiplied by a draw of sqrt(v / chi2(v)), so that quantiles are those of Student's t, which few documents need. v is one less
    than the effective number of documents, (sum of sizes)^2 / sum of squared sizes.

    Args:
        sums: of the source.
        num_draws: of the bootstrap.
        rng: of this source.

    Returns:
        (1 + num_draws, T) relative losses, the first row as measured. All rows are alike when there is one document.
    """
    num, relative = len(sums.sizes), sums.relative
    rows = np.tile(relative, (1 + num_draws, 1))
    if num > 1:
        picks = rng.multinomial(num - 1, np.full(num, 1 / num), size=num_draws).astype(np.float64)
        freedom = max(sums.sizes.sum() ** 2 / np.square(sums.sizes).sum() - 1, 1.0)
        stretch = np.sqrt(freedom / rng.chisquare(freedom, size=(num_draws, 1)))
        rows[1:] += stretch * ((picks @ sums.after) / (picks @ sums.before) - relative)
    return rows


def document_errors(sums: DocumentSums) -> Floats:
    """What each document adds to the error of each trial's relative loss, to first order.

    Returns:
        (T, n), zeros when there is one document; products of two trials' rows are the covariance of their errors over documents.
    """
    num = len(sums.sizes)
    apart = (sums.after - sums.relative * sums.before) / sums.before.sum(axis=0)
    return np.asarray(apart.T * np.sqrt(num / max(num - 1, 1)))
