"""What was measured, and draws of what other held-out documents and seeds would have given. All else follows from them.

Every quantity of a frontier is computed for all rows at once: the first is as measured and gives the value, the others its interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from orchestrator.frontier.documents import DocumentSums, document_errors, draw_relative_losses, sum_documents, sum_items
from orchestrator.frontier.estimates import COVERAGE, Estimate
from orchestrator.frontier.seeds import draw_errors, seed_variance
from orchestrator.frontier.settings import Group
from orchestrator.frontier.trials import Floats, TrialResult

_ROUNDING = 1e-12  # a spread that is none


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Draws:
    """Relative losses, after by before, and changes of the answers to probes, in R = 1 + num_draws rows.

    Attributes:
        sources: names, sorted.
        is_spec: (J,) whether each of them is the spec's.
        before: (J,) mean losses before the first step, in nats a token.
        losses: (R, T, J) of each trial and source.
        probes: names, sorted.
        changes: (R, T, K) of each trial and probe, the share of items answered right after less that before.
        freedom: the degrees of freedom of the variance over seeds; 0 when every setting has a single one.
    """

    sources: tuple[str, ...]
    is_spec: NDArray[np.bool_]
    before: Floats
    losses: Floats
    probes: tuple[str, ...]
    changes: Floats
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

    def changes_of(self, members: Sequence[int]) -> Floats:
        """(R, K) the means over some trials."""
        return np.asarray(self.changes[:, list(members)].mean(axis=1))

    def uptake(self, members: Sequence[int]) -> Floats:
        """(R,) 1 - the mean over the spec's sources."""
        return np.asarray(1 - self.of(members)[:, self.is_spec].mean(axis=1))

    def forgetting(self, members: Sequence[int]) -> Floats:
        """(R,) the mean over the general sources, less 1."""
        return np.asarray(self.of(members)[:, ~self.is_spec].mean(axis=1) - 1)


def draw(trials: Sequence[TrialResult], groups: Sequence[Group], *, num_draws: int, seed: int) -> Draws:
    """Measure, and draw.

    Documents are drawn for each source and items for each probe, the same ones for all trials (`documents.py`), and errors of seeds are
    added, of which a part is the same in all trials of a seed (`seeds.py`). Assumed: documents and items are independent, and so are seeds;
    what a seed does is normal, adds to the relative losses and to the changes, and varies as much in every setting.

    Args:
        trials: comparable and in order.
        groups: of them.
        num_draws: of the bootstrap.
        seed: of the draws; the same one gives the same draws, of losses also with other probes.
    """
    sources, probes = tuple(sorted(trials[0].sources)), tuple(sorted(trials[0].probes))
    rng = np.random.default_rng(seed)
    of_losses, of_answers = rng.spawn(len(sources) + 1), rng.spawn(len(probes) + 1)
    measured = [[trial.sources[name] for trial in trials] for name in sources]
    losses, freedom = _drawn([sum_documents(part) for part in measured], trials, groups, num_draws, of_losses)
    changes, _ = _drawn([sum_items([trial.probes[name] for trial in trials]) for name in probes], trials, groups, num_draws, of_answers)
    return Draws(
        sources=sources,
        is_spec=np.array([part[0].role == "spec" for part in measured]),
        before=np.array([np.mean([losses.before.mean() for losses in part]) for part in measured]),
        losses=losses,
        probes=probes,
        changes=changes,
        freedom=freedom,
    )


def _drawn(
    sums: Sequence[DocumentSums], trials: Sequence[TrialResult], groups: Sequence[Group], num_draws: int, streams: Sequence[Generator]
) -> tuple[Floats, int]:
    """(R, T, J) of J sums, each with a stream of random numbers after that of seeds; and the degrees of freedom over seeds."""
    if not sums:
        return np.empty((1 + num_draws, len(trials), 0)), 0
    rows = np.stack([draw_relative_losses(part, num_draws, rng) for part, rng in zip(sums, streams[1:], strict=True)], axis=2)
    settings = np.empty(len(trials), dtype=np.int64)
    for number, group in enumerate(groups):
        settings[list(group.members)] = number
    seeds = np.unique([trial.seed for trial in trials], return_inverse=True)[1]
    variance = seed_variance(rows[0], settings, seeds, [document_errors(part) for part in sums])
    rows[1:] += draw_errors(variance, seeds, num_draws, streams[0])
    return rows, variance.shared.freedom + variance.own.freedom


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
