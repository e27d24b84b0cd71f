"""What was measured, and draws of what other held-out documents and seeds would have given. All else follows from them.

Every quantity of a frontier is computed for all rows at once: the first is as measured and gives the value, the others its interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.frontier.documents import document_errors, draw_relative_losses, sum_documents
from orchestrator.frontier.estimates import COVERAGE, Estimate
from orchestrator.frontier.seeds import draw_errors, seed_variance
from orchestrator.frontier.settings import Group
from orchestrator.frontier.trials import Floats, TrialResult

_ROUNDING = 1e-12  # a spread that is none


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Draws:
    """Relative losses, after by before, in R = 1 + num_draws rows.

    Attributes:
        sources: names, sorted.
        is_spec: (J,) whether each of them is the spec's.
        before: (J,) mean losses before the first step, in nats a token.
        losses: (R, T, J) of each trial and source.
        freedom: the degrees of freedom of the variance over seeds; 0 when every setting has a single one.
    """

    sources: tuple[str, ...]
    is_spec: NDArray[np.bool_]
    before: Floats
    losses: Floats
    freedom: int

    @property
    def is_drawn(self) -> bool:
        """Whether draws differ."""
        return bool(np.ptp(self.losses, axis=0).max() > _ROUNDING)

    @property
    def general(self) -> list[str]:
        """The names of the general sources."""
        return [name for name, is_spec in zip(self.sources, self.is_spec, strict=True) if not is_spec]

    def of(self, members: Sequence[int]) -> Floats:
        """(R, J) the means over some trials."""
        return np.asarray(self.losses[:, list(members)].mean(axis=1))

    def uptake(self, members: Sequence[int]) -> Floats:
        """(R,) 1 - the mean over the spec's sources."""
        return np.asarray(1 - self.of(members)[:, self.is_spec].mean(axis=1))

    def forgetting(self, members: Sequence[int]) -> Floats:
        """(R,) the mean over the general sources, less 1."""
        return np.asarray(self.of(members)[:, ~self.is_spec].mean(axis=1) - 1)


def draw(trials: Sequence[TrialResult], groups: Sequence[Group], *, num_draws: int, seed: int) -> Draws:
    """Measure, and draw.

    Documents are drawn for each source, the same ones for all trials (`documents.py`), and errors of seeds are added, of which a part is
    the same in all trials of a seed (`seeds.py`). Assumed: documents are independent, and so are seeds; what a seed does is normal, adds
    to the relative losses, and varies as much in every setting.

    Args:
        trials: comparable and in order.
        groups: of them.
        num_draws: of the bootstrap.
        seed: of the draws; the same one gives the same draws.
    """
    names = tuple(sorted(trials[0].sources))
    streams = np.random.default_rng(seed).spawn(len(names) + 1)
    measured = [[trial.sources[name] for trial in trials] for name in names]
    sums = [sum_documents(part) for part in measured]
    losses = np.stack([draw_relative_losses(part, num_draws, rng) for part, rng in zip(sums, streams[1:], strict=True)], axis=2)
    settings = np.empty(len(trials), dtype=np.int64)
    for number, group in enumerate(groups):
        settings[list(group.members)] = number
    seeds = np.unique([trial.seed for trial in trials], return_inverse=True)[1]
    variance = seed_variance(losses[0], settings, seeds, [document_errors(part) for part in sums])
    losses[1:] += draw_errors(variance, seeds, num_draws, streams[0])
    return Draws(
        sources=names,
        is_spec=np.array([part[0].role == "spec" for part in measured]),
        before=np.array([np.mean([losses.before.mean() for losses in part]) for part in measured]),
        losses=losses,
        freedom=variance.shared.freedom + variance.own.freedom,
    )


def estimate(rows: Floats, *, may_agree: bool = False) -> Estimate:
    """The first of (R,) rows, and the interval of the others, which ends at two of them.

    Args:
        rows: finite.
        may_agree: whether the interval may be a single value, as that of a choice on which all draws agree; else it then has no ends.
    """
    value, drawn = float(rows[0]), rows[1:]
    if np.ptp(drawn) <= _ROUNDING and not may_agree:
        return Estimate(value=value)
    low, high = np.quantile(drawn, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2], method="nearest")
    return Estimate(value=value, low=float(low), high=float(high))
